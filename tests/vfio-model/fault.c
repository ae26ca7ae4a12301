/*
 * Faults on demand
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

#define MAX_RULES 32
#define MAX_FAILED 64

typedef struct {
    char call[32];
    unsigned container;
    unsigned long nth, seen;
    bool once, then;
    long result;
} Rule;

static Rule rules[MAX_RULES];
static unsigned rule_count;
static unsigned long fallible_calls;

static const char *failed[MAX_FAILED];      /* the first ones, by name */
static unsigned failed_count;
static bool one_failed;                     /* since there are these rules */

static const struct {
    const char *name;
    int number;
} errnos[] = {
#define NAMED(e) { #e, e }
    NAMED(EPERM), NAMED(ENOENT), NAMED(EINTR), NAMED(EIO), NAMED(ENXIO),
    NAMED(EBADF), NAMED(EAGAIN), NAMED(ENOMEM), NAMED(EACCES),
    NAMED(EFAULT), NAMED(EBUSY), NAMED(EEXIST), NAMED(ENODEV),
    NAMED(EINVAL), NAMED(EMFILE), NAMED(ENOTTY), NAMED(ENOSPC),
    NAMED(ERANGE), NAMED(EOVERFLOW), NAMED(EBADFD), NAMED(EOPNOTSUPP),
    NAMED(EILSEQ),
};

int errno_number(const char *name)
{
    for (unsigned i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
        if (!strcmp(errnos[i].name, name)) {
            return errnos[i].number;
        }
    }
    return 0;
}

const char *errno_name(int number)
{
    for (unsigned i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
        if (errnos[i].number == number) {
            return errnos[i].name;
        }
    }
    return NULL;
}

/* The whole of @text as a number; 0 if it is none */
static long number(const char *text)
{
    long value;
    char rest;

    return sscanf(text, "%li%c", &value, &rest) == 1 ? value : 0;
}

static const char *set_word(Rule *rule, const char *key, const char *value)
{
    if (!strcmp(key, "once") && !*value) {
        rule->once = true;
    } else if (!strcmp(key, "then") && !*value) {
        rule->then = true;
    } else if (!strcmp(key, "ioctl") && strlen(value) < sizeof(rule->call)) {
        strcpy(rule->call, value);
    } else if (!strcmp(key, "container")) {
        rule->container = number(value);
    } else if (!strcmp(key, "nth")) {
        rule->nth = number(value);
    } else if (!strcmp(key, "return")) {
        rule->result = number(value);
    } else if (!strcmp(key, "errno")) {
        rule->result = -errno_number(value);
        return rule->result ? NULL : "unknown errno";
    } else {
        return "words are ioctl=, container=, nth=, errno=, return=, once, "
               "then";
    }
    return NULL;
}

const char *fault_add(const char *text)
{
    Rule rule = { .nth = 1 };
    char copy[256], *word, *value, *rest = NULL;
    const char *wrong;

    if (rule_count == MAX_RULES || strlen(text) >= sizeof(copy)) {
        return "too many rules, or one too long";
    }
    strcpy(copy, text);
    for (word = strtok_r(copy, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        value = strchr(word, '=');
        if (value) {
            *value++ = 0;
        }
        wrong = set_word(&rule, word, value ? value : "");
        if (wrong) {
            return wrong;
        }
    }
    if (!*rule.call || !rule.nth || !rule.result) {
        return "a rule needs ioctl=, errno= or return=, and nth= from 1 on";
    }
    rules[rule_count++] = rule;
    return NULL;
}

void fault_clear(void)
{
    rule_count = 0;
    one_failed = false;
}

unsigned long fault_fallible_calls(void)
{
    return fallible_calls;
}

void fault_print(FILE *file)
{
    fprintf(file, "[");
    for (unsigned i = 0; i < failed_count; i++) {
        fprintf(file, "%s\"%s\"", i ? ", " : "", failed[i]);
    }
    fprintf(file, "]");
}

static bool is_about(const Rule *rule, const char *call, unsigned container,
                     CallKind kind)
{
    if (rule->container && rule->container != container) {
        return false;
    }
    return !strcmp(rule->call, call) ||
           (kind == CALL_FALLIBLE && !strcmp(rule->call, "any")) ||
           (kind != CALL_OTHER && !strcmp(rule->call, "every"));
}

bool fault_check(const char *call, unsigned container, CallKind kind,
                 long *result)
{
    bool hit = false;
    Rule *rule;

    fallible_calls += kind == CALL_FALLIBLE;
    for (rule = rules; rule < rules + rule_count; rule++) {
        if (!is_about(rule, call, container, kind) ||
            (rule->then && !one_failed)) {
            continue;
        }
        rule->seen++;
        if (rule->once ? rule->seen == rule->nth : rule->seen >= rule->nth) {
            *result = rule->result;
            hit = true;
        }
    }
    if (hit && failed_count < MAX_FAILED) {
        failed[failed_count++] = call;
    }
    one_failed |= hit;
    return hit;
}
