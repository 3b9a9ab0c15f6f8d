/* Responses of the upstream: writes the frames of its streams and its whole responses to a connection's output. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdint.h>

#include "common.h"

#define ROOM 32768 /* size of a connection's output buffer in bytes; frames are added while half of it is free */

enum form { CHAT, CONVERSE_TEXT, CONVERSE_BINARY };
enum stage { READING, WAITING, STREAMING };

struct connection {
    int fd;
    enum stage stage;
    enum form form;
    char *input;
    size_t got, space;
    char output[ROOM];
    size_t from, to;
    int wants_room;           /* epoll waits until the socket can be written to */
    int streams, with_usage;
    uint32_t chunks, rate, next;
    long long due, start;
    int place;                /* index in the heap of timers, from 1; 0 if not in it */
    struct connection *next_free;
};

static uint32_t crc_table[256];
static struct { unsigned long long requests, streams, chunks, tokens, departed, late_ns, latest_ns; long open; } stats;

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

static void fill_crc_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        crc_table[n] = n;
        for (int bit = 0; bit < 8; bit++) crc_table[n] = (crc_table[n] >> 1) ^ (crc_table[n] & 1 ? 0xEDB88320u : 0);
    }
}

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
    "\"created\":1767225600,\"id\":\"chatcmpl-Bench0000000000000000000001\",\"model\":\"gpt-5.5-2026-04-24\"," \
    "\"object\":\"chat.completion.chunk\",\"system_fingerprint\":\"fp_0123456789\"%s}\n\n"
#define CHAT_DELTA \
    "data: {\"choices\":[{\"content_filter_results\":{},\"delta\":%s,\"finish_reason\":%s,\"index\":0," \
    "\"logprobs\":null}]," CHAT_TAIL

static void say_beginning(struct connection *c) {
    say(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nx-request-id: 00000000-0000-0000-0000-000000000001\r\n"
           "Transfer-Encoding: chunked\r\n\r\n",
        c->form == CONVERSE_BINARY ? "application/vnd.amazon.eventstream" : "text/event-stream");
    switch (c->form) {
    case CHAT:
        text_event(c, CHAT_DELTA, "{\"content\":\"\",\"refusal\":null,\"role\":\"assistant\"}", "null", "");
        break;
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
                 "{\"choices\":[{\"content_filter_results\":{},\"finish_reason\":\"stop\",\"index\":0,"
                 "\"logprobs\":null,\"message\":{\"annotations\":[],\"content\":\"%s\",\"refusal\":null,"
                 "\"role\":\"assistant\"}}],"
                 "\"created\":1767225600,\"id\":\"chatcmpl-Bench0000000000000000000001\","
                 "\"model\":\"gpt-5.5-2026-04-24\",\"object\":\"chat.completion\","
                 "\"system_fingerprint\":\"fp_0123456789\","
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
