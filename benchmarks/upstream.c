/* An upstream that is never the bottleneck: SAP AI Core's inference paths, from one thread, on the loopback interface.
 *
 * upstream [PORT [SECONDS]]   port 0 takes a free one; the first line of output is the port; ends after an hour at most
 *
 *   POST …/oauth/token        a token
 *   POST …/chat/completions   an OpenAI chat completion, or its stream if the body says "stream": true
 *   POST …/converse           a Converse answer
 *   POST …/converse-stream    its stream: AWS binary events if Accept names them, or under Bedrock's own /model/…;
 *                             else AI Core's text events
 *   GET /stats                counters since the last look
 *
 * The path carries the schedule, for example in the id of the deployment: -c250r50w20 means 250 chunks of text, 50 of
 * them in a second (0: as fast as the socket takes them), and 20 ms before the head of the answer. A chunk n is due at
 * start + n / rate. Its text is @@NNNNNN:TTTTTTTTTTTTTTTTTTT; with its number and with the time, CLOCK_MONOTONIC in
 * nanoseconds, at which it was due (unpaced: at which it was written).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 32768         /* bytes of output that wait for one connection; a frame is added while half is free */
#define LARGEST (256 << 20) /* bytes of one request */
#define SECOND 1000000000LL

enum form { CHAT, CONVERSE_TEXT, CONVERSE_BINARY };
enum stage { READING, WAITING, STREAMING, ENDING };

struct connection {
    int fd;
    enum stage stage;
    enum form form;
    char *input;
    size_t got, space;
    char output[ROOM];
    size_t from, to;
    int wants_room;           /* epoll watches for room in the socket */
    int streams, with_usage;
    uint32_t chunks, rate, next;
    long long due, start;
    int place;                /* in the heap of timers, from 1 on; 0: not there */
    struct connection *next_free;
};

static int poller;
static struct connection **timers;
static int timer_count, timer_space;
static uint32_t crc_table[256];
static struct { unsigned long long requests, streams, chunks, tokens, departed, late_ns, latest_ns; long open; } stats;

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

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
    c->next_free = spare; /* freed after this round of events: others of the same round may name it */
    spare = c;
}

static void add(struct connection *c, const void *bytes, size_t length) {
    memcpy(c->output + c->to, bytes, length);
    c->to += length;
}

static void __attribute__((format(printf, 2, 3))) say(struct connection *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    c->to += vsnprintf(c->output + c->to, ROOM - c->to, format, arguments);
    va_end(arguments);
}

/* Write what waits; 0 if the connection is gone. */
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

/* ---- frames ---- */

static void http_chunk(struct connection *c, const void *bytes, size_t length) {
    say(c, "%zx\r\n", length);
    add(c, bytes, length);
    add(c, "\r\n", 2);
}

static uint32_t crc32_of(uint32_t crc, const unsigned char *bytes, size_t length) {
    for (crc = ~crc; length--; bytes++) crc = crc_table[(crc ^ *bytes) & 255] ^ (crc >> 8);
    return ~crc;
}

static unsigned char *big_endian(unsigned char *at, uint32_t value) {
    uint32_t swapped = htonl(value);
    memcpy(at, &swapped, 4);
    return at + 4;
}

static unsigned char *event_header(unsigned char *at, const char *name, const char *value) {
    size_t name_length = strlen(name), value_length = strlen(value);
    *at++ = (unsigned char)name_length;
    at = (unsigned char *)mempcpy(at, name, name_length);
    *at++ = 7; /* a string */
    *at++ = (unsigned char)(value_length >> 8);
    *at++ = (unsigned char)value_length;
    return (unsigned char *)mempcpy(at, value, value_length);
}

static void binary_event(struct connection *c, const char *type, const char *payload) {
    unsigned char message[1024], *at = event_header(message + 12, ":event-type", type);
    at = event_header(at, ":content-type", "application/json");
    at = event_header(at, ":message-type", "event");
    size_t headers = at - message - 12;
    at = (unsigned char *)mempcpy(at, payload, strlen(payload));
    big_endian(big_endian(message, (uint32_t)(at - message) + 4), (uint32_t)headers);
    big_endian(message + 8, crc32_of(0, message, 8));
    at = big_endian(at, crc32_of(0, message, at - message));
    http_chunk(c, message, at - message);
}

static void __attribute__((format(printf, 2, 3))) text_event(struct connection *c, const char *format, ...) {
    char frame[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(frame, sizeof frame, format, arguments);
    va_end(arguments);
    http_chunk(c, frame, (size_t)length);
}

#define CHAT_TAIL \
    "\"created\":1767225600,\"id\":\"chatcmpl-Bench0000000000000000000001\",\"model\":\"gpt-4o-2024-08-06\"," \
    "\"object\":\"chat.completion.chunk\",\"system_fingerprint\":\"fp_0123456789\"%s}\n\n"
#define CHAT_DELTA \
    "data: {\"choices\":[{\"content_filter_results\":{},\"delta\":%s,\"finish_reason\":%s,\"index\":0," \
    "\"logprobs\":null}]," CHAT_TAIL

static void say_beginning(struct connection *c) {
    say(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nx-request-id: 00000000-0000-0000-0000-000000000001\r\n"
           "Transfer-Encoding: chunked\r\n\r\n",
        c->form == CONVERSE_BINARY ? "application/vnd.amazon.eventstream" : "text/event-stream");
    switch (c->form) {
    case CHAT: text_event(c, CHAT_DELTA, "{\"content\":\"\",\"refusal\":null,\"role\":\"assistant\"}", "null", ""); break;
    case CONVERSE_TEXT: text_event(c, "data: {'messageStart': {'role': 'assistant'}}\n\n"); break;
    case CONVERSE_BINARY: binary_event(c, "messageStart", "{\"p\":\"abcd\",\"role\":\"assistant\"}"); break;
    }
}

static void say_chunk(struct connection *c, long long stamp) {
    char mark[40], data[160];
    snprintf(mark, sizeof mark, "@@%06u:%019lld;", c->next % 1000000, stamp);
    switch (c->form) {
    case CHAT:
        snprintf(data, sizeof data, "{\"content\":\"%s\"}", mark);
        text_event(c, CHAT_DELTA, data, "null", "");
        break;
    case CONVERSE_TEXT:
        text_event(c, "data: {'contentBlockDelta': {'delta': {'text': '%s'}, 'contentBlockIndex': 0}}\n\n", mark);
        break;
    case CONVERSE_BINARY:
        snprintf(data, sizeof data, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"%s\"},\"p\":\"abcdefgh\"}", mark);
        binary_event(c, "contentBlockDelta", data);
        break;
    }
    c->next++;
    stats.chunks++;
}

static void say_end(struct connection *c) {
    char usage[200];
    switch (c->form) {
    case CHAT:
        text_event(c, CHAT_DELTA, "{}", "\"stop\"", "");
        snprintf(usage, sizeof usage, ",\"usage\":{\"completion_tokens\":%u,\"prompt_tokens\":9,\"total_tokens\":%u}",
                 c->chunks, c->chunks + 9);
        if (c->with_usage) text_event(c, "data: {\"choices\":[]," CHAT_TAIL, usage);
        text_event(c, "data: [DONE]\n\n");
        break;
    case CONVERSE_TEXT:
        text_event(c, "data: {'contentBlockStop': {'contentBlockIndex': 0}}\n\n");
        text_event(c, "data: {'messageStop': {'stopReason': 'end_turn'}}\n\n");
        text_event(c, "data: {'metadata': {'usage': {'inputTokens': 9, 'outputTokens': %u, 'totalTokens': %u},"
                      " 'metrics': {'latencyMs': 5}}}\n\n", c->chunks, c->chunks + 9);
        break;
    case CONVERSE_BINARY:
        binary_event(c, "contentBlockStop", "{\"contentBlockIndex\":0,\"p\":\"abcdef\"}");
        binary_event(c, "messageStop", "{\"p\":\"abc\",\"stopReason\":\"end_turn\"}");
        snprintf(usage, sizeof usage, "{\"metrics\":{\"latencyMs\":5},\"p\":\"ab\",\"usage\":{\"inputTokens\":9,"
                                      "\"outputTokens\":%u,\"totalTokens\":%u}}", c->chunks, c->chunks + 9);
        binary_event(c, "metadata", usage);
        break;
    }
    add(c, "0\r\n\r\n", 5);
}

static void say_json(struct connection *c, const char *body) {
    say(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: 00000000-0000-0000-0000-000000000001\r\n"
           "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static void say_whole(struct connection *c) {
    char body[1024];
    const char *text = "Two and two make four, here and everywhere else that people count.";
    if (c->form == CHAT)
        snprintf(body, sizeof body,
                 "{\"choices\":[{\"content_filter_results\":{},\"finish_reason\":\"stop\",\"index\":0,\"logprobs\":null,"
                 "\"message\":{\"annotations\":[],\"content\":\"%s\",\"refusal\":null,\"role\":\"assistant\"}}],"
                 "\"created\":1767225600,\"id\":\"chatcmpl-Bench0000000000000000000001\",\"model\":\"gpt-4o-2024-08-06\","
                 "\"object\":\"chat.completion\",\"system_fingerprint\":\"fp_0123456789\","
                 "\"usage\":{\"completion_tokens\":14,\"prompt_tokens\":9,\"total_tokens\":23}}", text);
    else
        snprintf(body, sizeof body,
                 "{\"metrics\":{\"latencyMs\":5},\"output\":{\"message\":{\"content\":[{\"text\":\"%s\"}],"
                 "\"role\":\"assistant\"}},\"stopReason\":\"end_turn\","
                 "\"usage\":{\"inputTokens\":9,\"outputTokens\":14,\"totalTokens\":23}}", text);
    say_json(c, body);
}

static void say_stats(struct connection *c) {
    char body[400];
    snprintf(body, sizeof body,
             "{\"requests\":%llu,\"streams\":%llu,\"chunks\":%llu,\"tokens\":%llu,\"departed\":%llu,\"open\":%ld,"
             "\"late_mean_us\":%.1f,\"late_max_us\":%.1f}",
             stats.requests, stats.streams, stats.chunks, stats.tokens, stats.departed, stats.open - 1,
             stats.chunks ? stats.late_ns / 1e3 / stats.chunks : 0.0, stats.latest_ns / 1e3);
    long open = stats.open;
    memset(&stats, 0, sizeof stats);
    stats.open = open;
    say_json(c, body);
}

/* ---- one request ---- */

static const char *find(const char *in, size_t length, const char *what) {
    return memmem(in, length, what, strlen(what));
}

/* The value of a header in a head that ends in an empty line, or NULL. */
static const char *header(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':') {
            const char *value = line + 3 + length;
            return value + strspn(value, " \t");
        }
    return NULL;
}

static int is_true(const char *body, size_t length, const char *key) {
    const char *at = find(body, length, key);
    if (!at) return 0;
    size_t left = length - (at - body) - strlen(key);
    for (at += strlen(key); left && (*at == ' ' || *at == ':'); at++) left--;
    return left >= 4 && !memcmp(at, "true", 4);
}

/* Bytes that a chunked body takes up, -1 if it is not complete. */
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
    stats.requests++;
    if (!end) return say_json(c, "{}");
    *end = 0;
    if (!strncmp(head, "GET /stats", 10)) return say_stats(c);
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

/* Take requests from what was read, one after the other; 0 if the connection is gone. */
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
        c->input[head - 2] = 0; /* the head, with its last line's end */
        answer(c, c->input, c->input + head, body);
        c->got -= head + body;
        memmove(c->input, c->input + head + body, c->got);
        if (c->stage == READING && !flush(c)) return 0;
    }
    return 1;
}

/* Read all there is; 0 if the connection is gone. */
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

/* Say what is due by now. */
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
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
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
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    for (uint32_t n = 0; n < 256; n++) {
        crc_table[n] = n;
        for (int bit = 0; bit < 8; bit++) crc_table[n] = (crc_table[n] >> 1) ^ (crc_table[n] & 1 ? 0xEDB88320u : 0);
    }
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
