/* SPDX-License-Identifier: Apache-2.0 */

/* libmicrohttpd and nothing else: every request gets the same bytes.  What an
 * answer costs at least, beside which souk's are put.
 *
 *      bench_mhd_bare HEADERS BODY THREADS
 *
 * HEADERS is a file of "Name: value" lines, BODY the bytes.  Each thread has a
 * daemon and a listener of its own on the same port, and polls MHD's epoll from
 * outside, as in souk's gateway.  Prints its port, and ends when its input
 * does. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 1 << 20, LINE_MAX_BYTES = 4096, THREADS_MAX = 16 };

static struct MHD_Response *response;

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *body,
                              size_t *body_len, void **request)
{
    (void)ctx, (void)url, (void)method, (void)version;
    (void)body, (void)body_len;
    if (*request == NULL) { /* its headers only: souk answers then, too */
        *request = response;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static bool read_body(const char *path)
{
    static char body[BODY_MAX];
    FILE *file = fopen(path, "rb");
    size_t len;

    if (file == NULL)
        return false;
    len = fread(body, 1, sizeof(body), file);
    (void)fclose(file);
    response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_PERSISTENT);
    return response != NULL;
}

static bool read_headers(const char *path)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':');

        line[strcspn(line, "\r\n")] = '\0';
        if (colon == NULL)
            continue;
        *colon = '\0';
        (void)MHD_add_response_header(response, line,
                                      colon + 1 + strspn(colon + 1, " "));
    }
    (void)fclose(file);
    return true;
}

static void *serve(void *daemon)
{
    struct pollfd fds[2] = {
        {.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
         .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN}};

    while (fds[1].revents == 0) {
        MHD_UNSIGNED_LONG_LONG left;
        int wait = MHD_get_timeout(daemon, &left) == MHD_YES ? (int)left : -1;

        if (poll(fds, 2, wait) >= 0)
            (void)MHD_run(daemon);
    }
    MHD_stop_daemon(daemon);
    return NULL;
}

/* At |port|, any if it is 0. */
static struct MHD_Daemon *daemon_at(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &at,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[3]) : 0, started = 0;
    pthread_t threads[THREADS_MAX];
    uint16_t port = 0;

    if (count < 1 || count > THREADS_MAX || !read_body(argv[2]) ||
        !read_headers(argv[1])) {
        (void)fprintf(stderr, "usage: bench_mhd_bare HEADERS BODY THREADS\n");
        return 2;
    }
    while (started < count) {
        struct MHD_Daemon *daemon = daemon_at(port);

        if (daemon == NULL)
            return 1;
        port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
        if (pthread_create(&threads[started], NULL, serve, daemon) != 0)
            return 1;
        started++;
    }
    (void)printf("%d\n", port);
    (void)fflush(stdout);
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    MHD_destroy_response(response);
    return 0;
}
