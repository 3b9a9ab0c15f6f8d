/* The client of the benchmarks: many connections to one port of the loopback interface, from one thread.
 *
 * load --port P --mode MODE [--connections N] [--seconds S] [--grace S] [--ramp S] [--chunks N]
 *      [--method M] [--path /…] [--header "Name: value"]… [--body TEXT]
 *
 *   requests   N connections send requests repeatedly for S seconds; counts responses, and chunks if they are streams
 *   streams    N connections open within the ramp and send one request; each ends S seconds and the grace later
 *   idle       N connections are opened and kept open for S seconds; a line is printed when all are open
 *
 * Prints one line of JSON. Times are in microseconds unless their names have another unit. `cpu_s` is the CPU time of
 * the client. `delay` is the time between the stamp in a chunk (see upstream.c) and its arrival here. For streams,
 * `share` is the part of the chunks due that arrived in time, `unfinished` counts streams without an end, and `silent`
 * streams without a chunk.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define MARK 29 /* @@NNNNNN:TTTTTTTTTTTTTTTTTTT; */
#define FINE 64 /* steps of a histogram between two powers of two */

struct histogram { unsigned long long count, at[FINE * 40], largest; };

enum state { CONNECTING, ASKING, HEAD, BODY, RESTING, CLOSED };
enum framing { BY_LENGTH, BY_CHUNKS, BY_CLOSE };

struct connection {
    int fd;
    enum state state;
    enum framing framing;
    size_t sent;
    long long asked, began;
    char line[8192];          /* the head, or the line with the size of an HTTP chunk */
    size_t line_length;
    int in_size, last_chunk, closes, ok;
    long long left;           /* bytes of the body or of the HTTP chunk, with its line end */
    char mark[MARK];
    int mark_length;
    uint32_t expected;        /* number of the next chunk */
    int answers;              /* on this connection */
    char tail[16];
    int tail_length;
    int finished;             /* mode streams: the answer is complete */
};

static int poller, port, count = 1;
static enum { REQUESTS, STREAMS, IDLE } mode;
static const char *const mode_names[] = {"requests", "streams", "idle"};
static double seconds = 1, grace = 1, ramp = 0;
static unsigned long long chunks_each;
static char *request;
static size_t request_length;
static struct connection *connections;
static struct histogram latency, first_byte, delay;
static unsigned long long answers, refused, broken, reconnects, chunks, misplaced, done_marks, connect_errors;
static long long deadline;
static int begun, expired;   /* connections so far, in the order in which they were opened */

/* ---- histograms: exact to a 64th ---- */

static void record(struct histogram *h, long long ns) {
    unsigned long long us = ns > 0 ? (unsigned long long)ns / 1000 : 0;
    int power = us < FINE ? 0 : 64 - __builtin_clzll(us) - 6; /* us >> power is at least 32, below 64 */
    size_t place = (size_t)power * FINE + (us >> power);
    h->at[place < FINE * 40 ? place : FINE * 40 - 1]++;
    h->count++;
    if (us > h->largest) h->largest = us;
}

static unsigned long long percentile(const struct histogram *h, double share) {
    unsigned long long seen = 0, wanted = (unsigned long long)(share * h->count);
    if (wanted >= h->count && wanted) wanted = h->count - 1;
    for (size_t place = 0; place < FINE * 40; place++)
        if ((seen += h->at[place]) > wanted) {
            unsigned long long us = (unsigned long long)(place % FINE) << (place / FINE);
            return us < h->largest ? us : h->largest;
        }
    return 0;
}

/* ---- reading ---- */

static void take_mark(struct connection *c, long long now) {
    if (c->mark[8] != ':' || c->mark[28] != ';') return;
    uint32_t number = (uint32_t)strtoul(c->mark + 2, NULL, 10);
    if (number != c->expected) misplaced++;
    c->expected = number + 1;
    record(&delay, now - strtoll(c->mark + 9, NULL, 10));
    chunks++;
}

/* Find the marks and the end of the stream in a piece of a body, which may be cut anywhere. */
static void scan(struct connection *c, const char *bytes, size_t length, long long now) {
    const char *end = bytes + length;
    int kept = length < sizeof c->tail ? (int)(sizeof c->tail - length) : 0;
    if (kept > c->tail_length) kept = c->tail_length;
    memmove(c->tail, c->tail + c->tail_length - kept, kept);
    int fresh = length < sizeof c->tail ? (int)length : (int)sizeof c->tail - kept;
    memcpy(c->tail + kept, end - fresh, fresh);
    c->tail_length = kept + fresh;
    while (bytes < end) {
        if (!c->mark_length) {
            if (!(bytes = memchr(bytes, '@', end - bytes))) return;
            c->mark[c->mark_length++] = *bytes++;
        } else if (c->mark_length == 1) {
            if (*bytes == '@') c->mark[c->mark_length++] = *bytes++;
            else c->mark_length = 0;
        } else {
            int take = MARK - c->mark_length < end - bytes ? MARK - c->mark_length : (int)(end - bytes);
            memcpy(c->mark + c->mark_length, bytes, take);
            bytes += take;
            if ((c->mark_length += take) == MARK) {
                take_mark(c, now);
                c->mark_length = 0;
            }
        }
    }
}

static void read_head(struct connection *c) {
    c->line[c->line_length] = 0;
    const char *coding = header(c->line, "transfer-encoding"), *length = header(c->line, "content-length");
    const char *connection = header(c->line, "connection");
    c->ok = !strncmp(c->line + 9, "200", 3);
    if (!c->ok && !refused++) fprintf(stderr, "load: the first refusal: %.300s\n", c->line);
    c->closes = (connection && !strncasecmp(connection, "close", 5)) || !strncmp(c->line, "HTTP/1.0", 8);
    c->framing = coding ? BY_CHUNKS : length ? BY_LENGTH : BY_CLOSE;
    c->left = length && !coding ? atoll(length) : 0;
    c->in_size = coding != NULL;
    c->last_chunk = 0;
    c->line_length = 0;
    c->tail_length = c->mark_length = 0;
    c->expected = 0;
    c->state = BODY;
}

static void connect_again(struct connection *c);
static void ask(struct connection *c);

static void watch(struct connection *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, how, c->fd, &event);
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
}

static void answered(struct connection *c, long long now) {
    if (memmem(c->tail, c->tail_length, "[DONE]", 6)) done_marks++;
    c->answers++;
    c->finished = 1;
    if (c->ok) {
        answers++;
        record(&latency, now - c->asked);
    }
    if (mode == STREAMS) {
        c->state = RESTING;
        return;
    }
    if (c->closes) {
        hang_up(c);
        connect_again(c);
    } else {
        ask(c);
    }
}

/* Read the bytes of a body; return 1 when it is complete. *used* is the number of bytes that belong to it. */
static int take_body(struct connection *c, const char *bytes, size_t length, size_t *used, long long now) {
    size_t at = 0;
    while (at < length) {
        if (c->framing == BY_CHUNKS && c->in_size) {
            char next = bytes[at++];
            if (c->line_length < sizeof c->line - 1) c->line[c->line_length++] = next;
            if (next != '\n') continue;
            c->line[c->line_length] = 0;
            if (c->last_chunk) { /* a trailer, or the empty line at the end */
                int over = c->line_length <= 2;
                c->line_length = 0;
                if (over) return *used = at, 1;
                continue;
            }
            c->left = strtoll(c->line, NULL, 16) + 2;
            c->line_length = 0;
            if (c->left == 2) c->last_chunk = 1;
            else c->in_size = 0;
            continue;
        }
        size_t take = length - at;
        if (c->framing != BY_CLOSE && take > (unsigned long long)c->left) take = (size_t)c->left;
        size_t text = take;
        if (c->framing == BY_CHUNKS) text = c->left <= 2 ? 0 : take < (size_t)c->left - 2 ? take : (size_t)c->left - 2;
        scan(c, bytes + at, text, now);
        at += take;
        c->left -= take;
        if (c->left == 0 && c->framing == BY_LENGTH) return *used = at, 1;
        if (c->left == 0 && c->framing == BY_CHUNKS) c->in_size = 1;
    }
    *used = at;
    return c->framing == BY_LENGTH && c->left == 0;
}

static void take(struct connection *c, const char *bytes, size_t length) {
    long long now = now_ns();
    size_t at = 0;
    if (c->state == HEAD) {
        if (!c->line_length) record(&first_byte, now - c->asked);
        while (at < length && c->state == HEAD) {
            if (c->line_length < sizeof c->line - 1) c->line[c->line_length++] = bytes[at];
            at++;
            if (c->line_length >= 4 && !memcmp(c->line + c->line_length - 4, "\r\n\r\n", 4)) read_head(c);
        }
        if (c->state == BODY && c->framing == BY_LENGTH && !c->left) return answered(c, now);
    }
    size_t used = 0;
    if (c->state == BODY && take_body(c, bytes + at, length - at, &used, now)) answered(c, now);
}

static void closed_by_peer(struct connection *c) {
    enum state was = c->state;
    hang_up(c);
    if (was == BODY && c->framing == BY_CLOSE) return c->closes = 1, answered(c, now_ns());
    if (mode == IDLE) return;
    if (was == BODY || (was == HEAD && c->line_length)) broken++;
    else if (was == CONNECTING || !c->answers) connect_errors++;
    else if (was != RESTING) reconnects++; /* the server had closed a kept connection: send the request again */
    if (mode == REQUESTS) connect_again(c);
}

static void receive(struct connection *c) {
    static char buffer[262144];
    for (int turns = 0, fd = c->fd; turns < 4 && c->fd == fd; turns++) {
        ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
        if (got > 0) {
            take(c, buffer, (size_t)got);
            if ((size_t)got < sizeof buffer) return;
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            return closed_by_peer(c);
        }
    }
}

/* ---- sending ---- */

static void send_rest(struct connection *c) {
    while (c->sent < request_length) {
        ssize_t sent = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (sent > 0) c->sent += sent;
        else if (sent < 0 && errno == EAGAIN) return watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
        else if (sent < 0 && errno == EINTR) continue;
        else return closed_by_peer(c);
    }
    if (c->state == ASKING) watch(c, EPOLLIN, EPOLL_CTL_MOD);
    c->state = HEAD;
}

static void ask(struct connection *c) {
    int was_waiting = c->state == CONNECTING;
    c->sent = c->line_length = 0;
    c->asked = now_ns();
    c->state = was_waiting ? ASKING : HEAD;
    send_rest(c);
}

static void connect_again(struct connection *c) {
    if (now_ns() >= deadline || connect_errors > 10000) return;
    struct sockaddr_in address = loopback(port);
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTING;
    c->answers = c->finished = 0;
    c->line_length = 0;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        connect_errors++;
        return hang_up(c);
    }
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void connected(struct connection *c) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) return closed_by_peer(c);
    if (mode == IDLE) {
        c->state = RESTING;
        return watch(c, EPOLLIN, EPOLL_CTL_MOD);
    }
    ask(c);
}

/* ---- the run ---- */

/* Close the streams whose time is over. */
static void expire(void) {
    long long span = (long long)((seconds + grace) * SECOND), now = now_ns();
    for (; expired < begun && connections[expired].began + span <= now; expired++)
        if (!connections[expired].finished) hang_up(&connections[expired]);
}

static void pass(long long until) {
    struct epoll_event events[256];
    long long left = until - now_ns();
    if (left < 0) left = 0;
    struct timespec wait = {left / SECOND, left % SECOND};
    int ready = epoll_pwait2(poller, events, 256, &wait, NULL);
    if (mode == STREAMS) expire();
    for (int n = 0; n < ready; n++) {
        struct connection *c = events[n].data.ptr;
        if (c->fd < 0) continue;
        if (c->state == CONNECTING) connected(c);
        else if (c->state == ASKING && (events[n].events & EPOLLOUT)) send_rest(c);
        else if (c->state == HEAD && (events[n].events & EPOLLOUT) && c->sent < request_length) send_rest(c);
        else receive(c);
    }
}

static int is_open(const struct connection *c) {
    return c->fd >= 0 && c->state != CONNECTING;
}

static int count_open(void) {
    int open = 0;
    for (int n = 0; n < count; n++) open += is_open(&connections[n]);
    return open;
}

static int all_settled(void) {
    for (int n = 0; n < count; n++)
        if (connections[n].fd >= 0 && connections[n].state != RESTING) return 0;
    return 1;
}

static void print_histogram(const char *name, const struct histogram *h) {
    printf("\"%s_p50\": %llu, \"%s_p99\": %llu, \"%s_max\": %llu, ",
           name, percentile(h, 0.5), name, percentile(h, 0.99), name, h->largest);
}

static void run(void) {
    long long start = now_ns(), next = start;
    deadline = start + (long long)((seconds + (mode == STREAMS ? grace : 0)) * SECOND);
    if (mode == STREAMS) deadline += (long long)(ramp * SECOND);
    connections = calloc(count, sizeof *connections);
    if (!connections) die("calloc");
    for (int n = 0; n < count; n++) connections[n].fd = -1;
    for (int n = 0; n < count; n++) {
        next = start + (long long)(ramp * SECOND * n / count);
        while (now_ns() < next) pass(next);
        connections[n].began = now_ns();
        begun++;
        connect_again(&connections[n]);
        if (n % 64 == 63) pass(now_ns());
    }
    if (mode == IDLE) {
        while (count_open() < count && now_ns() < deadline && connect_errors < 10000) pass(deadline);
        printf("{\"open\": %d, \"after_s\": %.3f}\n", count_open(), (now_ns() - start) / 1e9);
        fflush(stdout);
    }
    while (now_ns() < deadline && !(mode == STREAMS && all_settled())) pass(deadline);
    double took = (now_ns() - start) / 1e9;
    int unfinished = 0, silent = 0;
    for (int n = 0; n < count; n++) {
        unfinished += !(connections[n].finished && connections[n].ok);
        silent += !connections[n].expected;
    }
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"cpu_s\": %.4f, ", cpu);
    printf("\"seconds\": %.3f, \"answers\": %llu, \"refused\": %llu, \"broken\": %llu, \"reconnects\": %llu, "
           "\"connect_errors\": %llu, \"chunks\": %llu, \"misplaced\": %llu, \"done\": %llu, \"open\": %d, ",
           took, answers, refused, broken, reconnects, connect_errors, chunks, misplaced, done_marks, count_open());
    if (mode == STREAMS)
        printf("\"share\": %.4f, \"unfinished\": %d, \"silent\": %d, ",
               chunks_each ? (double)chunks / ((double)chunks_each * count) : 0.0, unfinished, silent);
    print_histogram("latency", &latency);
    print_histogram("first_byte", &first_byte);
    print_histogram("delay", &delay);
    printf("\"mode\": \"%s\"}\n", mode_names[mode]);
}

static char *append(char *text, const char *more) {
    size_t length = text ? strlen(text) : 0;
    if (!(text = realloc(text, length + strlen(more) + 1))) die("realloc");
    strcpy(text + length, more);
    return text;
}

static void compose(const char *method, const char *path, const char *headers, const char *body) {
    char line[100];
    request = append(request, method);
    request = append(append(append(request, " "), path), " HTTP/1.1\r\nHost: 127.0.0.1");
    snprintf(line, sizeof line, ":%d\r\n", port);
    request = append(append(request, line), headers);
    if (*body) {
        snprintf(line, sizeof line, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
        request = append(request, line);
    }
    request = append(append(request, "\r\n"), body);
    request_length = strlen(request);
}

static void usage(void) {
    fprintf(stderr, "usage: load --port P --mode requests|streams|idle [--connections N] [--seconds S] [--grace S] "
                    "[--ramp S] [--chunks N] [--method M] [--path P] [--header H]... [--body B]\n");
    exit(2);
}

static void read_mode(const char *name) {
    for (mode = REQUESTS; mode <= IDLE; mode++)
        if (!strcmp(name, mode_names[mode])) return;
    usage();
}

int main(int argument_count, char **arguments) {
    const char *method = "POST", *path = "/v1/chat/completions", *body = "";
    char *headers = append(NULL, "");
    for (int n = 1; n < argument_count; n += 2) {
        const char *name = arguments[n], *value = n + 1 < argument_count ? arguments[n + 1] : (usage(), "");
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--mode")) read_mode(value);
        else if (!strcmp(name, "--connections")) count = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--grace")) grace = atof(value);
        else if (!strcmp(name, "--ramp")) ramp = atof(value);
        else if (!strcmp(name, "--chunks")) chunks_each = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--method")) method = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--header")) headers = append(append(headers, value), "\r\n");
        else if (!strcmp(name, "--body")) body = value;
        else usage();
    }
    if (!port || count < 1 || count > 100000) usage();
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    compose(method, path, headers, body);
    poller = epoll_create1(EPOLL_CLOEXEC);
    run();
    return 0;
}
