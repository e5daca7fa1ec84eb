// The limit of e2e/bench: one thread over epoll that matches the bytes of the benchmark's clients and copies bytes
// back. It speaks what the floor (bare.go) speaks: the open packet, the main namespace, echo, join, say and burst. It
// parses no JSON and checks nothing: no handshake key, no UTF-8, no limits of a session, no heartbeat, no queue. What
// the kernel doesn't take at once is waited for, so one slow client stops everybody. A server that does more than this
// can't be cheaper on the same kernel.
//
//	limit PORT, on 127.0.0.1
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 << 10, ROOMS = 1 << 10, EVENTS = 256 };

typedef struct conn {
	int fd, upgraded;
	int at[2];                // its places in its rooms: everybody, and one more
	struct room *room;
	size_t have, room_for;    // what was read and is incomplete
	uint8_t *in;
} conn;

typedef struct room {
	char name[32];
	conn **all;
	int n, room_for;
} room;

static room everybody, rooms[ROOMS];
static uint8_t in[BUFFER], out[BUFFER];
static size_t filled; // of out: answers to the client whose bytes are handled

static void die(const char *what) { perror(what); exit(1); }

static void put(int fd, const uint8_t *b, size_t n) {
	while (n > 0) {
		ssize_t w = send(fd, b, n, MSG_NOSIGNAL);
		if (w < 0 && errno == EAGAIN) {
			struct pollfd p = {fd, POLLOUT, 0};
			poll(&p, 1, 1000);
			continue;
		}
		if (w < 0) return; // the client has left, and its descriptor tells
		b += w, n -= w;
	}
}

static void flush(conn *c) { put(c->fd, out, filled), filled = 0; }

// head writes the head of a server's frame and returns its length.
static size_t head(uint8_t *b, int op, size_t n) {
	b[0] = 0x80 | op;
	if (n < 126) return b[1] = n, 2;
	if (n < 65536) return b[1] = 126, b[2] = n >> 8, b[3] = n, 4;
	b[1] = 127, memset(b + 2, 0, 4);
	for (int i = 0; i < 4; i++) b[6 + i] = n >> (24 - 8 * i);
	return 10;
}

typedef struct { const void *b; size_t n; } piece;

// answer queues one message for the client.
static void answer(conn *c, int op, const piece *p, int pieces) {
	size_t n = 0;
	for (int i = 0; i < pieces; i++) n += p[i].n;
	if (filled + n + 10 > BUFFER) flush(c);
	filled += head(out + filled, op, n);
	for (int i = 0; i < pieces; i++) memcpy(out + filled, p[i].b, p[i].n), filled += p[i].n;
}

#define TEXT(s) {s, sizeof s - 1}

static void join(conn *c, room *r, int which) {
	if (r->n == r->room_for && !(r->all = realloc(r->all, (r->room_for = 2 * r->room_for + 16) * sizeof *r->all))) die("realloc");
	c->at[which] = r->n, r->all[r->n++] = c;
	if (which) c->room = r;
}

static void leave(conn *c, room *r, int which) {
	conn *last = r->all[--r->n];
	r->all[c->at[which]] = last, last->at[which] = c->at[which];
}

static room *find(const char *name, size_t n) {
	unsigned h = 5381;
	for (size_t i = 0; i < n; i++) h = h * 33 + name[i];
	for (;; h++) {
		room *r = &rooms[h % ROOMS];
		if (!r->name[0]) return snprintf(r->name, sizeof r->name, "%.*s", (int)n, name), r;
		if (strlen(r->name) == n && !memcmp(r->name, name, n)) return r;
	}
}

// say sends one frame, built once, to everybody in the room. The speaker's own copy leaves with its ack.
static void say(conn *c, const char *args, size_t n) {
	static uint8_t frame[BUFFER];
	static const char before[] = "42[\"said\",", after[] = ",\"from\":\"BBBBBBBBBBBBBBBBBBBB\",\"worker\":\"AAAA\"}]";
	room *r = &everybody;
	const char *name = memmem(args, n, "\"room\":\"", 8);
	if (name) {
		name += 8;
		const char *end = memchr(name, '"', args + n - name);
		if (!end) return;
		r = find(name, end - name);
	}
	args += strlen("[\"say\","), n -= strlen("[\"say\",") + 2; // less }]
	size_t body = sizeof before - 1 + n + sizeof after - 1, at = head(frame, 1, body);
	memcpy(frame + at, before, sizeof before - 1), at += sizeof before - 1;
	memcpy(frame + at, args, n), at += n;
	memcpy(frame + at, after, sizeof after - 1), at += sizeof after - 1;
	if (filled + at > BUFFER) flush(c);
	for (int i = 0; i < r->n; i++) {
		if (r->all[i] == c) memcpy(out + filled, frame, at), filled += at;
		else put(r->all[i]->fd, frame, at);
	}
}

#define IS(s) (n - (args - p) > sizeof s - 1 && !memcmp(args, s, sizeof s - 1))

static void message(conn *c, int op, char *p, size_t n) {
	if (op == 2) { // the attachment of an echo
		answer(c, 2, &(piece){p, n}, 1);
		return;
	}
	if (n == 2 && !memcmp(p, "40", 2)) {
		answer(c, 1, &(piece)TEXT("40{\"sid\":\"BBBBBBBBBBBBBBBBBBBB\"}"), 1);
		return;
	}
	char *args = n > 2 && p[0] == '4' ? memchr(p, '[', n) : NULL;
	if (!args) return;
	char type[2] = {'4', p[1] + 1}; // 42 -> 43, 45 -> 46
	piece id = {p + 2, args - p - 2};
	if (IS("[\"echo\",")) {
		char *rest = args + strlen("[\"echo\",");
		answer(c, 1, (piece[]){{type, 2}, id, TEXT("["), {rest, n - (rest - p)}}, 4);
		return;
	}
	if (IS("[\"join\",\"")) {
		if (c->room) leave(c, c->room, 1);
		char *name = args + strlen("[\"join\",\"");
		join(c, find(name, n - (name - p) - 2), 1);
	} else if (IS("[\"burst\",")) {
		for (int i = 0, all = atoi(args + strlen("[\"burst\",")); i < all; i++) {
			char text[32];
			answer(c, 1, &(piece){text, sprintf(text, "42[\"n\",%d]", i)}, 1);
		}
	} else if (IS("[\"say\",")) {
		say(c, args, n - (args - p));
	}
	answer(c, 1, (piece[]){{type, 2}, id, TEXT("[\"ok\"]")}, 3);
}

// upgrade answers the request with the accept of the benchmark's only key.
static size_t upgrade(conn *c, char *p, size_t n) {
	static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	char *end = memmem(p, n, "\r\n\r\n", 4);
	if (!end) return 0;
	memcpy(out + filled, switching, sizeof switching - 1), filled += sizeof switching - 1;
	answer(c, 1, &(piece)TEXT("0{\"sid\":\"AAAAAAAAAAAAAAAAAAAA\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"), 1);
	c->upgraded = 1;
	join(c, &everybody, 0);
	return end + 4 - p;
}

// frame handles one frame and returns its length: 0 if it is incomplete, -1 if the client closes.
static ssize_t frame(conn *c, uint8_t *p, size_t have) {
	if (have < 2) return 0;
	size_t n = p[1] & 127, at = 2;
	if (n == 126) {
		if (have < 4) return 0;
		n = p[2] << 8 | p[3], at = 4;
	} else if (n == 127) {
		if (have < 10) return 0;
		n = (size_t)p[6] << 24 | p[7] << 16 | p[8] << 8 | p[9], at = 10;
	}
	if (n > BUFFER / 2) return -1;
	if (have < at + 4 + n) return 0;
	uint32_t mask;
	memcpy(&mask, p + at, 4), at += 4;
	uint8_t *b = p + at;
	for (size_t i = 0; i + 4 <= n; i += 4) {
		uint32_t w;
		memcpy(&w, b + i, 4), w ^= mask, memcpy(b + i, &w, 4);
	}
	for (size_t i = n & ~(size_t)3; i < n; i++) b[i] ^= mask >> (8 * (i & 3));
	if ((p[0] & 15) == 8) return -1;
	message(c, p[0] & 15, (char *)b, n);
	return at + n;
}

static void end(conn *c) {
	if (c->upgraded) leave(c, &everybody, 0);
	if (c->room) leave(c, c->room, 1);
	close(c->fd), free(c->in), free(c);
}

// serve reads once and handles what is complete. It returns 0 once the client has left.
static int serve(conn *c) {
	memcpy(in, c->in, c->have);
	ssize_t n = read(c->fd, in + c->have, BUFFER - c->have);
	if (n <= 0) return n < 0 && errno == EAGAIN;
	size_t have = c->have + n, at = 0;
	ssize_t used = 1;
	filled = 0;
	while (at < have && (used = c->upgraded ? frame(c, in + at, have - at) : (ssize_t)upgrade(c, (char *)in + at, have - at)) > 0) at += used;
	flush(c);
	c->have = have - at;
	if (c->have > c->room_for && !(c->in = realloc(c->in, c->room_for = c->have))) die("realloc");
	memcpy(c->in, in + at, c->have);
	return used >= 0 && c->have < BUFFER;
}

int main(int argc, char **argv) {
	if (argc != 2) return 2;
	signal(SIGUSR2, SIG_IGN); // asks others to collect garbage
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ep = epoll_create1(EPOLL_CLOEXEC), on = 1;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(l, (struct sockaddr *)&addr, sizeof addr) || listen(l, 4096)) die("listen");
	struct epoll_event events[EVENTS], e = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			conn *c = events[i].data.ptr;
			if (c) {
				if (!serve(c)) end(c);
				continue;
			}
			int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd < 0) continue;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			if (!(c = calloc(1, sizeof *c))) die("calloc");
			c->fd = fd, e.data.ptr = c;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
		}
	}
}
