/*
 * A socket to talk to the model while the program runs: the model's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "fault.h"
#include "ledger.h"

static int listener;

static void answer(char *line, FILE *to)
{
    const char *wrong = NULL;

    line[strcspn(line, "\n")] = 0;
    pthread_mutex_lock(&model_lock);
    if (!strcmp(line, "ledger")) {
        ledger_print(to);
        wrong = "";
    } else if (!strcmp(line, "clear")) {
        fault_clear();
    } else if (!strncmp(line, "fault ", 6)) {
        wrong = fault_add(line + 6);
    } else {
        wrong = "commands are ledger, fault RULE, clear";
    }
    pthread_mutex_unlock(&model_lock);
    if (!wrong || *wrong) {
        fprintf(to, "%s\n", wrong ? wrong : "ok");
    }
}

static void *serve(void *unused)
{
    char line[512];
    FILE *file;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        file = fdopen(fd, "r+");
        if (!file) {
            close(fd);
            continue;
        }
        if (fgets(line, sizeof(line), file)) {
            fseek(file, 0, SEEK_CUR);
            answer(line, file);
        }
        fclose(file);
    }
    return NULL;
}

bool control_start(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    sigset_t all, old;
    pthread_t thread;
    bool started;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return false;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 4) < 0) {
        return false;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    started = !pthread_create(&thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}
