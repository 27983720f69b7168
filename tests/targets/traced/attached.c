/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attached SHIM FOLDER WHAT: attaches to itself in the middle of its work. What it did before and after must not be counted, and what it
 * did in between must be, exactly.
 */
#include "attach.h"

#include <link.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct attach attach;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int listener;

static void listen_somewhere(void)
{
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 512) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

/* Another process takes the connections, and holds them, unless it is only to serve. */
static pid_t server;
static int serves_only;
static void begin_server(void)
{
    server = fork();
    MUST(server >= 0);
    while (server == 0) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || getppid() == 1)
            _exit(0);
        if (serves_only)
            close(fd);
    }
}
static void end_server(void)
{
    MUST(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
}

static void *volatile kept[1000];
static SITE void keeps(int from, int count)
{
    for (int i = from; i < from + count; i++)
        kept[i] = malloc(100);
}
static SITE void gives_back(int from, int count)
{
    for (int i = from; i < from + count; i++)
        free(kept[i]);
}
static SITE int connects(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}
static void asks(int fd)
{
    MUST(write(fd, "?", 1) == 1);
}
static SITE int opens(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    return fd;
}
static SITE void prints_and_copies(void)
{
    char *copy = strdup("a string that libc allocates by itself");
    MUST(copy);
    free(copy);
}

static void of_another_version(struct stray_attach_request *request)
{
    request->version--;
}

/* One thread: 10 blocks, 3 connections and 2 files before; 20, 5 and 4 in between, of which 7, 2 and 1 go, and 4, 1 and 1 of those
 * from before. */
static void single(void)
{
    int early[3], files[2], late[5], more[4];
    keeps(0, 10);
    for (int i = 0; i < 3; i++)
        early[i] = connects();
    files[0] = opens(), files[1] = opens();
    attach.asked = of_another_version;
    MUST(attach_begin(&attach) == -EPROTO);
    attach.asked = NULL;
    MUST(attach_begin(&attach) == 0);
    keeps(10, 20);
    gives_back(10, 7);
    gives_back(0, 4);
    for (int i = 0; i < 5; i++)
        late[i] = connects();
    for (int i = 0; i < 4; i++)
        more[i] = opens();
    close(late[0]), close(late[1]), close(early[0]), close(more[0]), close(files[0]);
    for (int i = 0; i < 30; i++)
        prints_and_copies();
    MUST(attach_begin(&attach) == -EALREADY);
    MUST(attach_end(&attach) == 0);
    keeps(30, 100);
    gives_back(30, 100);
    for (int i = 0; i < 10; i++)
        close(connects()), close(opens());
    MUST(attach_end(&attach) == -ESRCH);
    expect("keeps", "heap", 20, 7, 1300);
    expect("connects", "connection", 5, 2, -1);
    expect("opens", "file", 4, 1, -1);
    expect("prints_and_copies", "heap", 30, 30, 0);
}

/* A service that has forgotten 50 connections, and forgets 100 more. */
static SITE void forgets(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    asks(fd);
}
static SITE void remembers(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    asks(fd);
    close(fd);
}
static void serve(int requests)
{
    for (int i = 0; i < requests; i++) {
        forgets();
        for (int k = 0; k < 3; k++)
            remembers();
        usleep(20000);
    }
}
static void staging(void)
{
    begin_server();
    serve(50);
    MUST(attach_begin(&attach) == 0);
    serve(100);
    MUST(attach_end(&attach) == 0);
    serve(20);
    end_server();
    expect("forgets", "connection", 100, 0, -1);
    expect("remembers", "connection", 300, 300, -1);
}

static SITE void keeps_in_child(int count)
{
    for (int i = 0; i < count; i++)
        kept[i] = malloc(40);
}

static void child(void)
{
    gives_back(0, 10);
    keeps_in_child(33);
    close(connects());
    expect("keeps_in_child", "heap", 33, 0, 1320);
    expect("connects", "connection", 1, 1, -1);
}

static void wait_for(pid_t pid)
{
    int status;
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* Children, while it is attached to and after. */
static void forks(void)
{
    keeps(0, 10);
    int early = connects();
    MUST(attach_begin(&attach) == 0);
    keeps(10, 20);
    pid_t pid = fork();
    if (pid == 0) {
        child();
        exit(0);
    }
    wait_for(pid);
    pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(98);
    }
    wait_for(pid);
    close(early);
    MUST(attach_end(&attach) == 0);
    pid = fork();
    if (pid == 0) {
        keeps_in_child(5);
        MUST(attach_begin(&attach) == 0);
        keeps(100, 7);
        MUST(attach_end(&attach) == 0);
        _exit(0);
    }
    wait_for(pid);
    expect("keeps", "heap", 20, 0, 2000);
}

/* A child attaches to itself that its parent, which is attached to, did not take along. */
static void forks_untraced(void)
{
    MUST(attach_begin(&attach) == 0);
    keeps(0, 20);
    pid_t pid = fork();
    if (pid == 0) {
        keeps_in_child(50);
        attach.options = NULL;
        MUST(attach_begin(&attach) == 0);
        keeps(100, 11);
        gives_back(0, 10);
        MUST(attach_end(&attach) == 0);
        expect("keeps", "heap", 11, 0, 1100);
        exit(0);
    }
    wait_for(pid);
    MUST(attach_end(&attach) == 0);
    expect("keeps", "heap", 20, 0, 2000);
}

static SITE void at_exit(void)
{
    gives_back(0, 10);
}

/* While it is attached to: returns from main() with a status, executes another program, or is killed. */
static int ends(const char *how)
{
    MUST(atexit(at_exit) == 0);
    MUST(attach_begin(&attach) == 0);
    keeps(0, 20);
    expect("keeps", "heap", 20, strcmp(how, "return") == 0 ? 10 : 0, -1);
    if (strcmp(how, "exec") == 0)
        execl("/bin/true", "true", (char *)NULL);
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    return 7;
}

static void call_plugin(void *plugin, const char *name, int times)
{
    void (*function)(int);
    *(void **)&function = dlsym(plugin, name);
    MUST(function);
    function(times);
}

/* Libraries that were there before, that come, and that go; and a function that is found by its name. */
static void plugins(const char *folder)
{
    char one[4096], two[4096];
    sprintf(one, "%s/target_plugin_one.so", folder);
    sprintf(two, "%s/target_plugin_two.so", folder);
    void *first = dlopen(one, RTLD_LAZY | RTLD_LOCAL), *second;
    void *(*by_name)(size_t);
    MUST(first);
    call_plugin(first, "plugin_one", 3);
    MUST(attach_begin(&attach) == 0);
    call_plugin(first, "plugin_one", 5);
    MUST((second = dlopen(two, RTLD_NOW | RTLD_LOCAL)));
    call_plugin(second, "plugin_two", 7);
    MUST(dlclose(first) == 0);
    *(void **)&by_name = dlsym(RTLD_DEFAULT, "malloc");
    MUST(by_name && by_name(77));
    MUST(attach_end(&attach) == 0);
    MUST(by_name(77)); /* it goes on to lead through the hook */
    call_plugin(second, "plugin_two", 4);
    MUST((first = dlopen(one, RTLD_LAZY | RTLD_LOCAL)));
    MUST(attach_begin(&attach) == 0);
    call_plugin(second, "plugin_two", 6);
    call_plugin(first, "plugin_one", 2);
    MUST(attach_end(&attach) == 0);
    expect("plugin_one", "heap", 5, 0, 5 * 123);
    expect("plugin_two", "heap", 7, 0, 7 * 123);
    expect("plugins", "heap", 1, 0, 77);
}

/* A thread that was there before goes on, and ends after all is over. */
static pthread_barrier_t begun, over;
static void *outlives(void *argument)
{
    keeps(500, 5);
    pthread_barrier_wait(&begun);
    gives_back(500, 5);
    keeps(500, 25);
    pthread_barrier_wait(&over);
    pthread_barrier_wait(&over);
    gives_back(500, 25);
    return argument;
}
static void thread(void)
{
    pthread_t threads[2];
    MUST(pthread_barrier_init(&begun, NULL, 2) == 0 && pthread_barrier_init(&over, NULL, 2) == 0);
    MUST(pthread_create(&threads[0], NULL, outlives, NULL) == 0);
    MUST(attach_begin(&attach) == 0);
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&over);
    MUST(attach_end(&attach) == 0);
    pthread_barrier_wait(&over);
    MUST(pthread_join(threads[0], NULL) == 0);
    expect("keeps", "heap", 25, 0, 2500);
}

/* A request that nobody waits for any more: it is undone. Whoever looks at the list of objects holds it up until then. */
static struct stray_attach_request *asked_for;
static pid_t asker;
static pthread_barrier_t looking;

static void hands_over(struct stray_attach_request *request)
{
    asked_for = request;
    pthread_barrier_wait(&looking); /* the shim is loaded: now they may be looked at */
    pthread_barrier_wait(&looking); /* they are */
    __atomic_store_n(&asker, gettid(), __ATOMIC_RELEASE);
}

static int sleeps(pid_t thread)
{
    char path[64], text[256] = "", *end;
    sprintf(path, "/proc/self/task/%d/stat", (int)thread);
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && close(fd) == 0 && (end = strrchr(text, ')')));
    return end[2] == 'S';
}

static const char *name_of_spool(void)
{
    static char path[4200];
    sprintf(path, "%s/attached-%d.%d.stray.spool", attach.folder, attach.number, (int)getpid());
    return path;
}

/* The files are taken away with the request, and the next attach makes its own. */
static void replace_spool(void)
{
    int fd;
    MUST(unlink(name_of_spool()) == 0 && (fd = open(name_of_spool(), O_WRONLY | O_CREAT | O_EXCL, 0600)) >= 0 && close(fd) == 0);
}

/* As the injector does. True: the answer is on its way. */
static int withdraws_from(struct stray_attach_request *request)
{
    __atomic_store_n(&request->withdrawn, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&request->answered, __ATOMIC_SEQ_CST);
}

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    pthread_barrier_wait(&looking);
    while (!__atomic_load_n(&asker, __ATOMIC_ACQUIRE) || !sleeps(asker))
        usleep(1000);
    replace_spool();
    MUST(!withdraws_from(asked_for)); /* so it will be undone */
    return 1;
}

static void withdraws(struct stray_attach_request *request)
{
    request->withdrawn = 1;
    asked_for = request;
}

/* What has not begun leaves no descriptors behind either. */
static void withdrawn_at_once(void)
{
    attach.asked = withdraws;
    MUST(attach_begin(&attach) == -ECANCELED && asked_for->answered);
    MUST(unlink(name_of_spool()) == 0);
}

/* At any moment of it: whoever sees that nothing is settled yet may rely on its being undone. */
static pthread_barrier_t instant;
static void waits_for_it(struct stray_attach_request *request)
{
    asked_for = request;
    pthread_barrier_wait(&instant);
}

static void *withdraws_later(void *delay)
{
    pthread_barrier_wait(&instant);
    usleep(*(unsigned *)delay);
    return withdraws_from(asked_for) ? asked_for : NULL;
}

static void remove_trace(void)
{
    char path[4200];
    strcpy(path, name_of_spool());
    unlink(path);
    *strrchr(path, '.') = '\0';
    unlink(path);
}

static void withdrawn_at_any_moment(void)
{
    unsigned undone = 0, done = 0;
    MUST(pthread_barrier_init(&instant, NULL, 2) == 0);
    attach.asked = waits_for_it;
    for (unsigned delay = 0; delay < 25 || undone == 0 || done == 0; delay++) {
        pthread_t thread;
        void *settled;
        MUST(pthread_create(&thread, NULL, withdraws_later, &(unsigned){delay * 1000}) == 0);
        int result = attach_begin(&attach);
        MUST(pthread_join(thread, &settled) == 0 && (result == -ECANCELED || (result == 0 && settled)));
        result == 0 ? done++ : undone++;
        MUST(attach_end(&attach) == (result == 0 ? 0 : -ESRCH));
        remove_trace();
    }
}

static void withdrawn(void)
{
    pthread_t thread;
    MUST(pthread_barrier_init(&looking, NULL, 2) == 0);
    attach.asked = hands_over;
    MUST(pthread_create(&thread, NULL, attach_work, &attach) == 0);
    pthread_barrier_wait(&looking);
    MUST(dl_iterate_phdr(look, NULL) == 1);
    MUST(pthread_join(thread, NULL) == 0 && attach.begun == -ECANCELED);
    MUST(unlink(name_of_spool()) == 0); /* it is not the shim's */
    keeps(500, 3);
    withdrawn_at_once();
    attach.asked = NULL;
    MUST(attach_begin(&attach) == 0);
    keeps(500, 4);
    MUST(attach_begin(&attach) == -EALREADY);
    MUST(attach_end(&attach) == 0);
    withdrawn_at_any_moment();
    expect("keeps", "heap", 4, 0, 400);
}

#define THREADS 8
static int stop;
static void *storms(void *argument)
{
    void *blocks[16] = {0};
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        free(blocks[i % 16]);
        blocks[i % 16] = malloc(i % 700);
        MUST(blocks[i % 16]);
    }
    for (unsigned i = 0; i < 16; i++)
        free(blocks[i]);
    return argument;
}

/* The same amid eight threads that allocate, so often as it says. */
static void storm(int times)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, storms, NULL) == 0);
    for (int i = 0; i < times; i++) {
        MUST(attach_begin(&attach) == 0);
        keeps(0, 50);
        gives_back(0, 25);
        MUST(attach_end(&attach) >= 0); /* 1: a thread was held up amid an event */
        gives_back(25, 25);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    expect("keeps", "heap", 50, 25, 2500);
}

/* Everything at once, and a signal every millisecond whose handler calls what is hooked. */
static long handled;
static void handler(int signal)
{
    int before = errno, fd = dup(STDIN_FILENO);
    if (fd >= 0)
        close(fd);
    __atomic_fetch_add(&handled, signal == SIGALRM, __ATOMIC_RELAXED);
    errno = before;
}
static void *connects_all_the_time(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        close(connects());
    return argument;
}
static void *opens_all_the_time(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        int fd = opens(), copy = dup(fd);
        MUST(copy >= 0 && close(fd) == 0 && close(copy) == 0);
    }
    return argument;
}
static void *works(void *argument)
{
    return argument;
}
static void *makes_threads(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, works, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    return argument;
}
static void *forks_all_the_time(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pid_t pid = fork();
        if (pid == 0) {
            free(malloc(10));
            _exit(0);
        }
        wait_for(pid);
        usleep(20000);
    }
    return argument;
}

static void everything(int times)
{
    static void *(*const all[])(void *) = {storms, connects_all_the_time, opens_all_the_time, makes_threads, forks_all_the_time};
    enum { ALL = sizeof(all) / sizeof(*all) };
    pthread_t threads[ALL];
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval each = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
    serves_only = 1;
    begin_server();
    MUST(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &each, NULL) == 0);
    for (int i = 0; i < ALL; i++)
        MUST(pthread_create(&threads[i], NULL, all[i], NULL) == 0);
    for (int i = 0; i < times; i++) {
        MUST(attach_begin(&attach) == 0);
        keeps(0, 50);
        usleep(10000);
        gives_back(0, 25);
        MUST(attach_end(&attach) >= 0); /* 1: a thread was held up amid an event */
        gives_back(25, 25);
        usleep(30000); /* calls that are bound anew, each when it is first made, are bound again */
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < ALL; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(setitimer(ITIMER_REAL, &none, NULL) == 0 && handled > 0);
    end_server();
    expect("keeps", "heap", 50, 25, 2500);
}

int main(int argc, char **argv)
{
    MUST(argc >= 4);
    attach.shim = argv[1];
    attach.folder = argv[2];
    attach.options = getenv("ATTACH_OPTIONS");
    listen_somewhere();
    if (strcmp(argv[3], "single") == 0)
        single();
    else if (strcmp(argv[3], "staging") == 0)
        staging();
    else if (strcmp(argv[3], "everything") == 0)
        everything(atoi(argv[4]));
    else if (strcmp(argv[3], "plugins") == 0)
        plugins(argv[4]);
    else if (strcmp(argv[3], "forks") == 0)
        forks();
    else if (strcmp(argv[3], "forks_untraced") == 0)
        forks_untraced();
    else if (strcmp(argv[3], "ends") == 0)
        return ends(argv[4]);
    else if (strcmp(argv[3], "thread") == 0)
        thread();
    else if (strcmp(argv[3], "withdrawn") == 0)
        withdrawn();
    else if (strcmp(argv[3], "storm") == 0)
        storm(atoi(argv[4]));
    else
        MUST(!"what?");
    return 0;
}
