/*
 * The command: starts a program under the model
 *
 * The tree of the run is made in a temporary directory.  The program takes
 * the place of this process, so signals and the exit status need no relay; a
 * small process in the background waits until it and all that it started are
 * gone, which closes a pipe, and removes the tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "environment.h"
#include "fault.h"
#include "quirk.h"
#include "topology.h"
#include "tree.h"

static const char usage[] =
    "usage: vfio-model run --topology FILE [option...] -- PROGRAM [ARG...]\n"
    "       vfio-model ctl SOCKET COMMAND...\n"
    "\n"
    "  --topology FILE   the host: flavour, groups, devices\n"
    "  --fault RULE      ioctl=NAME[,container=N][,nth=N],errno=NAME[,once]\n"
    "  --quirk NAME      turn a quirk on, no-NAME: off\n"
    "  --ledger FILE     write the ledger there as JSON at exit\n"
    "  --control SOCKET  listen for commands: ledger, fault RULE, clear\n"
    "\n"
    "quirks:";

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
    fprintf(stderr, "vfio-model: %s: %s\n", what, why);
    exit(125);
}

static void __attribute__((noreturn)) show_usage(void)
{
    fputs(usage, stderr);
    for (int i = 0; i < QUIRK_COUNT; i++) {
        fprintf(stderr, " %s%s", quirk(i) ? "" : "no-", quirk_name(i));
    }
    fputs("\n", stderr);
    exit(125);
}

/* Add @value to the list in environment variable @name */
static void append(const char *name, const char *separator,
                   const char *value)
{
    const char *old = getenv(name);
    char *list;

    if (asprintf(&list, "%s%s%s", old ? old : "", old ? separator : "",
                 value) < 0 || setenv(name, list, 1) < 0) {
        fail(name, "no memory");
    }
    free(list);
}

/* The library lies beside the command */
static void set_preload(void)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path,
                                    sizeof(path) - 32);
    char *slash;

    path[length < 0 ? 0 : length] = 0;
    slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, "libvfio-model.so");
    if (access(path, R_OK) < 0) {
        fail(path, strerror(errno));
    }
    append("LD_PRELOAD", ":", path);
    /* which wants to come first, but can do without */
    append("ASAN_OPTIONS", ":", "verify_asan_link_order=0");
}

static void set_path(const char *name, const char *file)
{
    char path[PATH_MAX];

    if (*file == '/') {
        setenv(name, file, 1);
    } else if (getcwd(path, sizeof(path) - strlen(file) - 1)) {
        strcat(path, "/");
        strcat(path, file);
        setenv(name, path, 1);
    }
}

/* Wait in the background until nobody holds @fd's other end, then clean up */
static void leave_cleaner(const char *root)
{
    int ends[2];
    ssize_t length;
    char byte;
    pid_t child;

    if (pipe(ends) < 0) {
        fail("pipe", strerror(errno));
    }
    child = fork();
    if (child > 0) {
        close(ends[0]);
        waitpid(child, NULL, 0);
        return;
    }
    if (child < 0 || fork()) {
        _exit(0);
    }
    setsid();
    for (int fd = 0; fd < 1024; fd++) {
        if (fd != ends[0]) {
            close(fd);
        }
    }
    do {
        length = read(ends[0], &byte, 1);
    } while (length < 0 && errno == EINTR);
    tree_remove(root);
    _exit(0);
}

static void make_tree(const char *topology)
{
    static Host host;
    char error[512], root[PATH_MAX];
    const char *directory = getenv("TMPDIR");

    if (!topology_load(&host, topology, error, sizeof(error))) {
        fail("topology", error);
    }
    snprintf(root, sizeof(root), "%s/vfio-model-XXXXXX",
             directory ? directory : "/tmp");
    if (!mkdtemp(root)) {
        fail(root, strerror(errno));
    }
    if (!tree_make(&host, root)) {
        tree_remove(root);
        fail(root, strerror(errno));
    }
    setenv(ENV_ROOT, root, 1);
    leave_cleaner(root);
}

static void take_option(int option)
{
    const char *wrong;

    switch (option) {
    case 't':
        set_path(ENV_TOPOLOGY, optarg);
        break;
    case 'f':
        wrong = fault_add(optarg);
        if (wrong) {
            fail(optarg, wrong);
        }
        append(ENV_FAULTS, ";", optarg);
        break;
    case 'q':
        if (!quirk_set(optarg)) {
            fail(optarg, "there is no such quirk");
        }
        append(ENV_QUIRKS, ",", optarg);
        break;
    case 'l':
        set_path(ENV_LEDGER, optarg);
        break;
    case 'c':
        set_path(ENV_CONTROL, optarg);
        break;
    default:
        show_usage();
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        { "topology", required_argument, NULL, 't' },
        { "fault", required_argument, NULL, 'f' },
        { "quirk", required_argument, NULL, 'q' },
        { "ledger", required_argument, NULL, 'l' },
        { "control", required_argument, NULL, 'c' },
        { NULL }
    };
    char pid[16];
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        take_option(option);
    }
    if (optind == argc || !getenv(ENV_TOPOLOGY)) {
        show_usage();
    }
    make_tree(getenv(ENV_TOPOLOGY));
    set_preload();
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv(ENV_PID, pid, 1);
    execvp(argv[optind], argv + optind);
    fail(argv[optind], strerror(errno));
}

static int control(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char buffer[4096];
    ssize_t length;
    int fd;

    if (argc < 3 || strlen(argv[1]) >= sizeof(address.sun_path)) {
        show_usage();
    }
    strcpy(address.sun_path, argv[1]);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail(argv[1], strerror(errno));
    }
    for (int i = 2; i < argc; i++) {
        dprintf(fd, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
    }
    while ((length = read(fd, buffer, sizeof(buffer))) > 0) {
        fwrite(buffer, 1, length, stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "run")) {
        return run(argc - 1, argv + 1);
    }
    if (argc > 2 && !strcmp(argv[1], "ctl")) {
        return control(argc - 1, argv + 1);
    }
    show_usage();
}
