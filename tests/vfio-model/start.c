/*
 * The life of the model: from the loading of the library to the exit of the
 * program
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "environment.h"
#include "fault.h"
#include "files.h"
#include "interrupt.h"
#include "ledger.h"
#include "paths.h"
#include "quirk.h"

Host host;

static pid_t owner;

static void __attribute__((noreturn)) give_up(const char *what,
                                              const char *why)
{
    fprintf(stderr, "vfio-model: %s: %s\n", what, why);
    _exit(125);
}

static void set_quirks(void)
{
    char *names = getenv(ENV_QUIRKS), *name, *rest = NULL;

    names = names ? strdup(names) : NULL;
    for (name = names ? strtok_r(names, ",", &rest) : NULL; name;
         name = strtok_r(NULL, ",", &rest)) {
        if (!quirk_set(name)) {
            give_up(name, "there is no such quirk");
        }
    }
    free(names);
}

static void add_faults(void)
{
    char *rules = getenv(ENV_FAULTS), *rule, *rest = NULL;
    const char *wrong;

    rules = rules ? strdup(rules) : NULL;
    for (rule = rules ? strtok_r(rules, ";", &rest) : NULL; rule;
         rule = strtok_r(NULL, ";", &rest)) {
        wrong = fault_add(rule);
        if (wrong) {
            give_up(rule, wrong);
        }
    }
    free(rules);
}

static void before_fork(void)
{
    pthread_mutex_lock(&model_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&model_lock);
}

/*
 * A program that only starts others has no ledger worth writing, unless it
 * is the one that was asked for.
 */
static void finish(void)
{
    const char *pid = getenv(ENV_PID);

    if (getpid() != owner) {
        return;
    }
    pthread_mutex_lock(&model_lock);
    if (containers || (pid && atoi(pid) == owner)) {
        ledger_snapshot();
        files_close_all();
        ledger_finish(getenv(ENV_LEDGER));
    }
    pthread_mutex_unlock(&model_lock);
}

static void __attribute__((constructor)) start(void)
{
    const char *topology = getenv(ENV_TOPOLOGY);
    const char *control = getenv(ENV_CONTROL);
    char error[512];

    if (!topology) {
        return;
    }
    if (!topology_load(&host, topology, error, sizeof(error))) {
        give_up("topology", error);
    }
    path_set_root(getenv(ENV_ROOT));
    set_quirks();
    add_faults();
    owner = getpid();
    pthread_atfork(before_fork, after_fork, after_fork);
    atexit(finish);
    if (control && getenv(ENV_PID) && atoi(getenv(ENV_PID)) == owner &&
        !control_start(control)) {
        give_up(control, "cannot listen there");
    }
}
