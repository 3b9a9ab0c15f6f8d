/* An upstream that is never the bottleneck: SAP AI Core's inference paths, from one thread, on the loopback interface.
 *
 * upstream [PORT [SECONDS]]   port 0 chooses a free one; the first line of output is the port; ends after an hour
 *
 *   POST …/oauth/token        a token
 *   POST …/chat/completions   an OpenAI chat completion, or its stream if the body says "stream": true
 *   POST …/converse           a Converse answer
 *   POST …/converse-stream    its stream: AWS binary events if Accept names them, or under Bedrock's own /model/…;
 *                             else AI Core's text events
 *   GET /stats                counters since the last request for them
 *
 * The path contains the schedule, for example in the id of the deployment: -c250r50w20 means 250 chunks of text, 50 of
 * them per second (0: as fast as the socket accepts them), and 20 ms before the head of the response. A chunk n is due
 * at start + n / rate. Its text is @@NNNNNN:TTTTTTTTTTTTTTTTTTT; with its number and with the time, CLOCK_MONOTONIC in
 * nanoseconds, at which it was due (unpaced: at which it was written).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"

#define LARGEST (256 << 20) /* bytes of one request */

static int poller;
static struct connection **timers;
static int timer_count, timer_space;

/* ---- timers: a heap by due time ---- */

static void put(int place, struct connection *c) {
    timers[place] = c;
    c->place = place;
}

static void sift(int place, struct connection *c) {
    while (place > 1 && timers[place / 2]->due > c->due) {
        put(place, timers[place / 2]);
        place /= 2;
    }
    for (int child; (child = place * 2) <= timer_count; place = child) {
        if (child < timer_count && timers[child + 1]->due < timers[child]->due) child++;
        if (timers[child]->due >= c->due) break;
        put(place, timers[child]);
    }
    put(place, c);
}

static void set_timer(struct connection *c, long long due) {
    c->due = due;
    if (!c->place) {
        if (++timer_count >= timer_space) {
            timer_space = timer_space ? timer_space * 2 : 256;
            if (!(timers = realloc(timers, timer_space * sizeof *timers))) die("realloc");
        }
        c->place = timer_count;
    }
    sift(c->place, c);
}

static void drop_timer(struct connection *c) {
    int place = c->place;
    if (!place) return;
    c->place = 0;
    struct connection *last = timers[timer_count--];
    if (last != c) sift(place, last);
}

/* ---- connections ---- */

static void watch(struct connection *c, int wants_room) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wants_room ? EPOLLOUT : 0), .data.ptr = c};
    c->wants_room = wants_room;
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static struct connection *spare;

static void forget(struct connection *c) {
    if (c->stage != READING) stats.departed++;
    stats.open--;
    drop_timer(c);
    close(c->fd);
    free(c->input);
    c->fd = -1;
    c->next_free = spare; /* freed after this round of events: others of the same round may refer to it */
    spare = c;
}

/* Write the pending output; return 0 if the connection is closed. */
static int flush(struct connection *c) {
    while (c->from < c->to) {
        ssize_t sent = send(c->fd, c->output + c->from, c->to - c->from, MSG_NOSIGNAL);
        if (sent > 0) {
            c->from += sent;
        } else if (sent < 0 && errno == EINTR) {
            continue;
        } else if (sent < 0 && errno == EAGAIN) {
            if (!c->wants_room) watch(c, 1);
            return 1;
        } else {
            forget(c);
            return 0;
        }
    }
    c->from = c->to = 0;
    return 1;
}

/* ---- one request ---- */

static const char *find(const char *in, size_t length, const char *what) {
    return memmem(in, length, what, strlen(what));
}

static int is_true(const char *body, size_t length, const char *key) {
    const char *at = find(body, length, key);
    if (!at) return 0;
    size_t left = length - (at - body) - strlen(key);
    for (at += strlen(key); left && (*at == ' ' || *at == ':'); at++) left--;
    return left >= 4 && !memcmp(at, "true", 4);
}

/* Return the length of a chunked body in bytes, or -1 if it is not complete. */
static long chunked_size(const char *body, size_t length) {
    for (size_t at = 0;;) {
        const char *line = find(body + at, length - at, "\r\n");
        if (!line) return -1;
        size_t size = strtoul(body + at, NULL, 16);
        at = (line - body) + 2 + size + 2;
        if (at > length) return -1;
        if (!size) return (long)at;
    }
}

static void read_schedule(struct connection *c, const char *path) {
    unsigned chunks, rate, wait;
    c->chunks = 10;
    c->rate = 0;
    long long delay = 0;
    for (const char *at = strstr(path, "-c"); at; at = strstr(at + 1, "-c"))
        if (sscanf(at, "-c%ur%u", &chunks, &rate) == 2) {
            c->chunks = chunks;
            c->rate = rate;
            if (sscanf(at, "-c%ur%uw%u", &chunks, &rate, &wait) == 3) delay = wait * 1000000LL;
            break;
        }
    c->start = now_ns() + delay;
    c->next = 0;
}

static void answer(struct connection *c, char *head, const char *body, size_t length) {
    char *path = strchr(head, ' '), *end = path ? strpbrk(path + 1, " \r") : NULL;
    const char *accept = header(head, "accept");
    if (!end) return say_json(c, "{}");
    *end = 0;
    if (!strncmp(head, "GET /stats", 10)) return say_stats(c);
    stats.requests++;
    if (!strncmp(head, "HEAD", 4)) return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    if (strstr(path, "/oauth/token")) {
        stats.tokens++;
        return say_json(c, "{\"access_token\":\"bench\",\"token_type\":\"bearer\",\"expires_in\":43199}");
    }
    if (strstr(path, "/chat/completions")) {
        c->form = CHAT;
        c->streams = is_true(body, length, "\"stream\"");
        c->with_usage = is_true(body, length, "\"include_usage\"");
    } else if (strstr(path, "/converse")) {
        c->streams = strstr(path, "/converse-stream") != NULL;
        int binary = accept && !strncmp(accept, "application/vnd.amazon.eventstream", 34);
        c->form = binary || strstr(path, "/model/") ? CONVERSE_BINARY : CONVERSE_TEXT;
    } else {
        return say_json(c, "{\"count\":0,\"resources\":[]}");
    }
    read_schedule(c, path);
    c->stage = WAITING;
    set_timer(c, c->start);
}

/* Answer the requests in the input, one after the other; return 0 if the connection is closed. */
static int take_requests(struct connection *c) {
    while (c->stage == READING && c->got) {
        const char *blank = find(c->input, c->got, "\r\n\r\n");
        if (!blank) return 1;
        size_t head = blank + 4 - c->input;
        char kept = c->input[head];
        c->input[head] = 0;
        const char *length = header(c->input, "content-length"), *coding = header(c->input, "transfer-encoding");
        long body = coding ? 0 : length ? atol(length) : 0;
        c->input[head] = kept;
        if (coding) body = chunked_size(c->input + head, c->got - head);
        if (body < 0 || head + body > c->got) return 1;
        c->input[head - 2] = 0; /* the end of the head, after its last line */
        answer(c, c->input, c->input + head, body);
        c->got -= head + body;
        memmove(c->input, c->input + head + body, c->got);
        if (c->stage == READING && !flush(c)) return 0;
    }
    return 1;
}

/* Read all available input; return 0 if the connection is closed. */
static int receive(struct connection *c) {
    for (;;) {
        if (c->space - c->got < 4096) {
            c->space = c->space ? c->space * 2 : 8192;
            if (c->space > LARGEST || !(c->input = realloc(c->input, c->space + 1))) die("a request is too large");
        }
        ssize_t got = recv(c->fd, c->input + c->got, c->space - c->got, 0);
        if (got > 0) {
            c->got += got;
            if (c->got < c->space) break;
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else if (got < 0 && errno == EAGAIN) {
            break;
        } else {
            forget(c);
            return 0;
        }
    }
    return take_requests(c);
}

static void proceed(struct connection *c);

static void finish(struct connection *c) {
    drop_timer(c);
    c->stage = READING;
    if (flush(c) && take_requests(c) && c->stage == WAITING && c->due <= now_ns()) proceed(c);
}

/* Send the output that is due now. */
static void proceed(struct connection *c) {
    long long now = now_ns();
    if (c->stage == WAITING) {
        if (!c->streams) {
            say_whole(c);
            return finish(c);
        }
        stats.streams++;
        c->stage = STREAMING;
        say_beginning(c);
    }
    while (c->next < c->chunks && c->to < ROOM / 2) {
        long long due = c->rate ? c->start + c->next * SECOND / c->rate : now;
        if (due > now) break;
        stats.late_ns += now - due;
        if ((unsigned long long)(now - due) > stats.latest_ns) stats.latest_ns = now - due;
        say_chunk(c, due);
    }
    long long due = c->rate ? c->start + c->next * SECOND / c->rate : now;
    if (c->next == c->chunks && due <= now && c->to < ROOM / 2) {
        say_end(c);
        return finish(c);
    }
    drop_timer(c);
    if (!flush(c)) return;
    if (!c->wants_room) set_timer(c, due);
}

static void room(struct connection *c) {
    if (!flush(c) || c->from < c->to) return;
    watch(c, 0);
    if (c->stage == STREAMING) proceed(c);
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        int on = 1;
        if (!c) die("calloc");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->fd = fd;
        stats.open++;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

static int listen_on(int port) {
    struct sockaddr_in address = loopback(port);
    socklen_t length = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void prepare(void) {
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    fill_crc_table();
}

int main(int count, char **arguments) {
    struct epoll_event events[256];
    prepare();
    int listener = listen_on(count > 1 ? atoi(arguments[1]) : 0);
    alarm(count > 2 ? (unsigned)atoi(arguments[2]) : 3600);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        long long left = timer_count ? timers[1]->due - now_ns() : -1;
        struct timespec wait = {left > 0 ? left / SECOND : 0, left > 0 ? left % SECOND : 0};
        int ready = epoll_pwait2(poller, events, 256, timer_count ? &wait : NULL, NULL);
        for (int n = 0; n < ready; n++) {
            struct connection *c = events[n].data.ptr;
            if (!c) accept_all(listener);
            else if (c->fd < 0) continue;
            else if (events[n].events & (EPOLLERR | EPOLLHUP)) forget(c);
            else if ((events[n].events & (EPOLLIN | EPOLLRDHUP)) && !receive(c)) continue;
            else if (events[n].events & EPOLLOUT) room(c);
        }
        long long now = now_ns();
        for (int turns = timer_count; turns-- && timer_count && timers[1]->due <= now;) proceed(timers[1]);
        while (spare) {
            struct connection *gone = spare;
            spare = gone->next_free;
            free(gone);
        }
    }
}
