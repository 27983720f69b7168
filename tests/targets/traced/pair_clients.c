/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handles of common libraries: one in four of them is forgotten, or none is. Only the libraries are needed, not their headers.
 *
 *     target_pair_clients [MODE]   (REDIS_HOST, REDIS_PORT and REDIS_PASSWORD in the environment)
 */
#include <stdint.h>
#include <string.h>

#include "expect.h"

#define MADE 40
#define KEPT 10 /* of them */

/* OpenSSL */
void *SSL_CTX_new(const void *method);
void SSL_CTX_free(void *context);
const void *TLS_client_method(void);
void *SSL_new(void *context);
void SSL_free(void *connection);
/* SQLite */
int sqlite3_open(const char *name, void **ret_database);
int sqlite3_open_v2(const char *name, void **ret_database, int flags, const char *vfs);
int sqlite3_close(void *database);
int sqlite3_prepare_v2(void *database, const char *sql, int length, void **ret_statement, const char **ret_tail);
int sqlite3_finalize(void *statement);
/* libcurl */
void *curl_easy_init(void);
void curl_easy_cleanup(void *curl);
int curl_easy_setopt(void *curl, int option, ...);
int curl_easy_perform(void *curl);
int curl_global_init(long flags);
/* hiredis */
struct redis_context { int err; char text[128]; int fd; };
struct redis_context *redisConnect(const char *host, int port);
void redisFree(struct redis_context *context);
void *redisCommand(struct redis_context *context, const char *format, ...);
void freeReplyObject(void *reply);
/* libxml2 */
void *xmlReadMemory(const char *text, int size, const char *url, const char *encoding, int options);
void xmlFreeDoc(void *document);
/* zlib */
struct stream { long words[14]; }; /* z_stream has 112 bytes */
int deflateInit_(struct stream *stream, int level, const char *version, int size);
int deflateEnd(struct stream *stream);
/* MariaDB */
void *mysql_init(void *connection);
void mysql_close(void *connection);

static void *context, *database;

static int is_kept(int i)
{
    return i % (MADE / KEPT) == 0;
}

#define PAIR(library, resource, open, close)                                                                          \
    SITE static void leaks_##library(void)                                                                            \
    {                                                                                                                 \
        for (int i = 0; i < MADE; i++) {                                                                              \
            void *handle = open;                                                                                      \
            MUST(handle);                                                                                             \
            if (!is_kept(i))                                                                                          \
                close(handle);                                                                                        \
        }                                                                                                             \
    }                                                                                                                 \
    SITE static void closes_##library(void)                                                                           \
    {                                                                                                                 \
        for (int i = 0; i < MADE; i++) {                                                                              \
            void *handle = open;                                                                                      \
            MUST(handle);                                                                                             \
            close(handle);                                                                                            \
        }                                                                                                             \
    }                                                                                                                 \
    static void run_##library(void)                                                                                   \
    {                                                                                                                 \
        leaks_##library();                                                                                            \
        expect("leaks_" #library, resource, MADE, MADE - KEPT, -1);                                                   \
        closes_##library();                                                                                           \
        expect("closes_" #library, resource, MADE, MADE, -1);                                                         \
    }

/* Macros, so that the functions named above are the innermost of this program. */
#define OPEN_DATABASE                                                                                                 \
    ({                                                                                                                \
        void *opened = NULL;                                                                                          \
        MUST(sqlite3_open(":memory:", &opened) == 0);                                                                 \
        opened;                                                                                                       \
    })
#define PREPARE                                                                                                       \
    ({                                                                                                                \
        void *prepared = NULL;                                                                                        \
        MUST(sqlite3_prepare_v2(database, "SELECT 1", -1, &prepared, NULL) == 0);                                     \
        prepared;                                                                                                     \
    })
#define CONNECT_REDIS                                                                                                 \
    ({                                                                                                                \
        struct redis_context *opened = redisConnect(getenv("REDIS_HOST"), atoi(getenv("REDIS_PORT")));                \
        MUST(opened && opened->err == 0);                                                                             \
        opened;                                                                                                       \
    })
#define CURLOPT_URL 10002
/* The library makes handles of its own meanwhile, and gives them back without the functions that are named. */
#define TRANSFER                                                                                                      \
    ({                                                                                                                \
        void *transfer = curl_easy_init();                                                                            \
        MUST(transfer && curl_easy_setopt(transfer, CURLOPT_URL, "file:///dev/null") == 0);                           \
        MUST(curl_easy_perform(transfer) == 0);                                                                       \
        transfer;                                                                                                     \
    })
#define READ_DOCUMENT xmlReadMemory("<a><b/></a>", 11, "here.xml", NULL, 0)

static struct redis_context *redis;
static struct stream streams[2 * MADE];
static int next_stream;

/* In the program's own memory, and none where one is open still. */
#define BEGIN_DEFLATING                                                                                               \
    ({                                                                                                                \
        struct stream *stream = &streams[next_stream++];                                                              \
        MUST(deflateInit_(stream, 1, "1.2.13", sizeof(*stream)) == 0);                                                \
        stream;                                                                                                       \
    })

PAIR(contexts, "SSL_CTX", SSL_CTX_new(TLS_client_method()), SSL_CTX_free)
PAIR(tls, "SSL", SSL_new(context), SSL_free)
PAIR(databases, "sqlite3", OPEN_DATABASE, sqlite3_close)
PAIR(prepared, "sqlite3_stmt", PREPARE, sqlite3_finalize)
PAIR(curl, "curl_easy", curl_easy_init(), curl_easy_cleanup)
PAIR(transfers, "curl_easy", TRANSFER, curl_easy_cleanup)
PAIR(redis, "redisContext", CONNECT_REDIS, redisFree)
PAIR(replies, "redisReply", redisCommand(redis, "ECHO %s", "hello"), freeReplyObject)
PAIR(documents, "xmlDoc", READ_DOCUMENT, xmlFreeDoc)
PAIR(streams, "deflate", BEGIN_DEFLATING, deflateEnd)
PAIR(mysql, "mysql", mysql_init(NULL), mysql_close)

/* One that cannot be opened has to be closed all the same, and one that is busy stays open. */
SITE static void fails_to_open(void)
{
    for (int i = 0; i < 10; i++) {
        void *failed = NULL;
        MUST(sqlite3_open_v2("/nowhere/at/all", &failed, 2, NULL) != 0 && failed);
        MUST(sqlite3_close(failed) == 0);
    }
}

SITE static void closes_while_busy(void)
{
    void *busy = NULL, *prepared = NULL;
    MUST(sqlite3_open(":memory:", &busy) == 0);
    MUST(sqlite3_prepare_v2(busy, "SELECT 1", -1, &prepared, NULL) == 0);
    MUST(sqlite3_close(busy) != 0);
    MUST(sqlite3_finalize(prepared) == 0 && sqlite3_close(busy) == 0);
}

static void run_tls_in_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    run_tls();
    SSL_CTX_free(context);
}

static void run_prepared_in_database(void)
{
    database = OPEN_DATABASE;
    run_prepared();
}

static void run_replies_of_server(void)
{
    redis = CONNECT_REDIS;
    freeReplyObject(redisCommand(redis, "AUTH %s", getenv("REDIS_PASSWORD")));
    run_replies();
    redisFree(redis);
}

static void run_curl_from_start(void)
{
    MUST(curl_global_init(3) == 0);
    run_curl();
}

static void run_transfers_alone(void)
{
    run_transfers();
    expect("leaks_transfers", "curl_url", 0, 0, -1);
}

static void run_odd(void)
{
    fails_to_open();
    expect("fails_to_open", "sqlite3", 10, 10, -1);
    closes_while_busy();
    expect("closes_while_busy", "sqlite3", 1, 1, -1);
    expect("closes_while_busy", "sqlite3_stmt", 1, 1, -1);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"contexts", run_contexts},  {"tls", run_tls_in_context},       {"databases", run_databases}, {"prepared", run_prepared_in_database},
    {"curl", run_curl_from_start}, {"redis", run_redis},            {"replies", run_replies_of_server},
    {"documents", run_documents}, {"streams", run_streams},         {"mysql", run_mysql},         {"odd", run_odd},
    {"transfers", run_transfers_alone},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
        if (argc < 2 || strcmp(argv[1], modes[i].name) == 0)
            modes[i].run();
    return 0;
}
