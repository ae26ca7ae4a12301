/*
 * Reading a topology
 *
 * One table of keys per kind of line says where a value goes and how it is
 * written; the parser knows nothing else about them.  A line is either
 * understood completely or refused with its number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "topology.h"

typedef enum {
    VALUE_SIZE,         /* uint64_t, bytes; "unlimited" is UINT64_MAX */
    VALUE_SIZES,        /* uint64_t, a mask made of powers of two */
    VALUE_SHIFT,        /* unsigned, log2 of the size that is given */
    VALUE_NUMBER,       /* unsigned */
    VALUE_ID,           /* uint16_t */
    VALUE_SWITCH,       /* bool */
    VALUE_FLAVOUR,
    VALUE_FRAMES,
    VALUE_KIND,
    VALUE_GROUP,        /* int, looked up by the caller */
} ValueType;

typedef struct {
    const char *name;
    ValueType type;
    size_t offset;
} Key;

typedef struct {
    Function function;
    int group;
} DeviceLine;

static const Key host_keys[] = {
    { "flavour", VALUE_FLAVOUR, offsetof(Host, flavour) },
    { "page", VALUE_SHIFT, offsetof(Host, page_shift) },
    { "pagesizes", VALUE_SIZES, offsetof(Host, page_sizes) },
    { "dma32", VALUE_SIZE, offsetof(Host, dma32_size) },
    { "start64", VALUE_SIZE, offsetof(Host, start64) },
    { "windows", VALUE_NUMBER, offsetof(Host, windows) },
    { "levels", VALUE_NUMBER, offsetof(Host, levels) },
    { "memlock", VALUE_SIZE, offsetof(Host, memlock) },
    { "memlock-max", VALUE_SIZE, offsetof(Host, memlock_max) },
    { "userns", VALUE_SWITCH, offsetof(Host, userns) },
    { "backing", VALUE_SIZE, offsetof(Host, backing) },
    { "contiguous", VALUE_SIZE, offsetof(Host, contiguous) },
    { "eeh", VALUE_SWITCH, offsetof(Host, eeh) },
    { "freeze", VALUE_SWITCH, offsetof(Host, freeze) },
    { "frames", VALUE_FRAMES, offsetof(Host, frames) },
    { "iommu-pages", VALUE_SIZES, offsetof(Host, iommu_pages) },
    { "entries", VALUE_NUMBER, offsetof(Host, dma_entries) },
    { NULL }
};

static const Key group_keys[] = {
    { "pagesizes", VALUE_SIZES, offsetof(Group, page_sizes) },
    { "windows", VALUE_NUMBER, offsetof(Group, windows) },
    { "dma32", VALUE_SIZE, offsetof(Group, dma32_size) },
    { NULL }
};

static const Key device_keys[] = {
    { "group", VALUE_GROUP, offsetof(DeviceLine, group) },
    { "kind", VALUE_KIND, offsetof(DeviceLine, function.kind) },
    { "vendor", VALUE_ID, offsetof(DeviceLine, function.vendor) },
    { "device", VALUE_ID, offsetof(DeviceLine, function.device) },
    { "intx", VALUE_SWITCH, offsetof(DeviceLine, function.intx) },
    { NULL }
};

static bool parse_size(const char *text, uint64_t *size)
{
    static const char suffixes[] = "KMGT";
    const char *suffix, *end;
    int length = 0;

    if (!strcmp(text, "unlimited")) {
        *size = UINT64_MAX;
        return true;
    }
    if (*text == '-' || sscanf(text, "%" SCNi64 "%n", (int64_t *)size,
                               &length) != 1) {
        return false;
    }
    end = text + length;
    suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix) {
        *size <<= 10 * (suffix - suffixes + 1);
        end++;
    }
    return !*end;
}

static bool parse_sizes(char *text, uint64_t *mask)
{
    uint64_t size;
    char *item, *rest = NULL;

    *mask = 0;
    for (item = strtok_r(text, ",", &rest); item;
         item = strtok_r(NULL, ",", &rest)) {
        if (!parse_size(item, &size) || !size || (size & (size - 1))) {
            return false;
        }
        *mask |= size;
    }
    return true;
}

/* The place of @text in the list @words, which ends with NULL */
static bool parse_word(const char *text, const char *const *words, int *index)
{
    for (*index = 0; words[*index]; ++*index) {
        if (!strcmp(text, words[*index])) {
            return true;
        }
    }
    return false;
}

static bool parse_enum(const char *text, ValueType type, int *value)
{
    static const char *const flavours[] = {
        "powernv", "lpar", "p7", "type1", NULL
    };
    static const char *const frames[] = {
        "scattered", "huge", "mixed", "contiguous", NULL
    };
    static const char *const kinds[] = { "plain", "engine", NULL };
    static const char *const switches[] = { "off", "on", NULL };

    switch (type) {
    case VALUE_FLAVOUR:
        return parse_word(text, flavours, value);
    case VALUE_FRAMES:
        return parse_word(text, frames, value);
    case VALUE_KIND:
        return parse_word(text, kinds, value);
    default:
        return parse_word(text, switches, value);
    }
}

static bool parse_value(char *text, const Key *key, void *object)
{
    void *field = (char *)object + key->offset;
    uint64_t size;
    int word;

    switch (key->type) {
    case VALUE_SIZE:
        return parse_size(text, field);
    case VALUE_SIZES:
        return parse_sizes(text, field);
    case VALUE_SWITCH:
        if (!parse_enum(text, key->type, &word)) {
            return false;
        }
        *(bool *)field = word;
        return true;
    case VALUE_FLAVOUR:
    case VALUE_FRAMES:
    case VALUE_KIND:
        return parse_enum(text, key->type, field);
    default:
        break;
    }
    if (!parse_size(text, &size)) {
        return false;
    }
    if (key->type == VALUE_SHIFT) {
        if (!size || (size & (size - 1))) {
            return false;
        }
        *(unsigned *)field = __builtin_ctzll(size);
        return true;
    }
    if (size > (key->type == VALUE_ID ? UINT16_MAX : INT_MAX)) {
        return false;
    }
    if (key->type == VALUE_ID) {
        *(uint16_t *)field = size;
    } else {
        *(unsigned *)field = size;
    }
    return true;
}

/* The words key=value that are left of a line; NULL or what is wrong */
static const char *parse_keys(char **rest, const Key *keys, void *object,
                              char *wrong, unsigned size)
{
    char *word, *value;
    const Key *key;

    while ((word = strtok_r(NULL, " \t\r\n", rest))) {
        value = strchr(word, '=');
        if (!value) {
            snprintf(wrong, size, "'%s' is not key=value", word);
            return wrong;
        }
        *value++ = 0;
        key = keys;
        while (key->name && strcmp(key->name, word)) {
            key++;
        }
        if (!key->name) {
            snprintf(wrong, size, "unknown key '%s'", word);
            return wrong;
        }
        if (!parse_value(value, key, object)) {
            snprintf(wrong, size, "bad value '%s' of '%s'", value, word);
            return wrong;
        }
    }
    return NULL;
}

/* What a flavour means where the file says nothing */
static void set_flavour(Host *host)
{
    const bool power = host->flavour != FLAVOUR_TYPE1;

    host->page_shift = __builtin_ctzl(getauxval(AT_PAGESZ));
    host->page_sizes = 1ull << 12 | 1ull << 16 | 1ull << 21 | 1ull << 24 |
                       1ull << 30;
    host->dma32_size = host->flavour == FLAVOUR_LPAR ? 1ull << 30 :
                                                       2ull << 30;
    host->start64 = 1ull << 59;
    host->windows = host->flavour == FLAVOUR_POWERNV ? 2 :
                    host->flavour == FLAVOUR_LPAR ? 1 : 0;
    host->levels = host->flavour == FLAVOUR_POWERNV ? 5 : 1;
    host->memlock = UINT64_MAX;
    host->contiguous = 16ull << 20;
    host->eeh = power;
    host->frames = FRAMES_SCATTERED;
    host->iommu_pages = 1ull << 12 | 1ull << 21 | 1ull << 30;
    host->dma_entries = 65535;
}

/* A flavour gives defaults, so it is looked for before the other keys */
static const char *parse_host(Host *host, char **rest, char *wrong,
                              unsigned size)
{
    const char *flavour = strstr(*rest, "flavour=");
    char word[16] = "";
    int value = FLAVOUR_POWERNV;

    if (flavour) {
        sscanf(flavour, "flavour=%15s", word);
        if (!parse_enum(word, VALUE_FLAVOUR, &value)) {
            snprintf(wrong, size, "unknown flavour '%s'", word);
            return wrong;
        }
    }
    host->flavour = value;
    set_flavour(host);
    if (parse_keys(rest, host_keys, host, wrong, size)) {
        return wrong;
    }
    if (!host->backing) {
        host->backing = 1ull << host->page_shift;
    }
    if (host->windows > MAX_WINDOWS) {
        return "a host has at most 2 windows";
    }
    return NULL;
}

static Group *find_group(Host *host, int number)
{
    Group *group = host->groups;

    while (group && group->number != number) {
        group = group->next;
    }
    return group;
}

static const char *parse_group(Host *host, char **rest, char *wrong,
                               unsigned size)
{
    const char *word = strtok_r(NULL, " \t\r\n", rest);
    Group *group, **last = &host->groups;
    int number;
    char more;

    if (!word || sscanf(word, "%d%c", &number, &more) != 1 || number < 0) {
        return "a group needs a number";
    }
    if (find_group(host, number)) {
        return "this group is there already";
    }
    group = calloc(1, sizeof(*group));
    if (!group) {
        return "no memory";
    }
    group->number = number;
    group->page_sizes = host->page_sizes;
    group->windows = host->windows;
    group->dma32_size = host->dma32_size;
    while (*last) {
        last = &(*last)->next;
    }
    *last = group;
    return parse_keys(rest, group_keys, group, wrong, size);
}

static const char *parse_device(Host *host, char **rest, char *wrong,
                                unsigned size)
{
    char *name = strtok_r(NULL, " \t\r\n", rest);
    DeviceLine line = {
        .function = {
            .kind = KIND_ENGINE, .vendor = 0x1de5, .device = 0xd3a0,
            .memory_fd = -1,
        },
        .group = -1,
    };
    Function *function = &line.function, **last;

    if (!name || sscanf(name, "%4x:%2x:%2x.%1x", &function->segment,
                        &function->bus, &function->slot,
                        &function->function) != 4) {
        return "a device needs an address like 0000:01:00.0";
    }
    if (parse_keys(rest, device_keys, &line, wrong, size)) {
        return wrong;
    }
    function->group = find_group(host, line.group);
    if (!function->group) {
        return "group= has to name a group of an earlier line";
    }
    snprintf(function->name, sizeof(function->name), "%04x:%02x:%02x.%x",
             function->segment & 0xffff, function->bus & 0xff,
             function->slot & 0x1f, function->function & 7);
    for (last = &host->functions; *last; last = &(*last)->next) {
        if (!strcmp((*last)->name, function->name)) {
            return "this device is there already";
        }
    }
    *last = malloc(sizeof(**last));
    if (!*last) {
        return "no memory";
    }
    **last = *function;
    (*last)->next_in_group = function->group->functions;
    function->group->functions = *last;
    return NULL;
}

static const char *parse_line(Host *host, char *line, char *wrong,
                              unsigned size)
{
    char *rest = NULL, *word = strtok_r(line, " \t\r\n", &rest);

    if (!word) {
        return NULL;
    }
    if (!strcmp(word, "host")) {
        return host->page_shift ? "the host comes once and first" :
                                  parse_host(host, &rest, wrong, size);
    }
    if (!host->page_shift) {
        return "a line 'host' has to come first";
    }
    if (!strcmp(word, "group")) {
        return parse_group(host, &rest, wrong, size);
    }
    if (!strcmp(word, "device")) {
        return parse_device(host, &rest, wrong, size);
    }
    return "a line starts with host, group or device";
}

bool topology_load(Host *host, const char *path, char *error, unsigned size)
{
    char line[1024], wrong[256];
    const char *message = NULL;
    unsigned number = 0;
    FILE *file = fopen(path, "re");

    memset(host, 0, sizeof(*host));
    if (!file) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        return false;
    }
    while (!message && fgets(line, sizeof(line), file)) {
        number++;
        line[strcspn(line, "#")] = 0;
        message = parse_line(host, line, wrong, sizeof(wrong));
    }
    fclose(file);
    if (!message && !host->page_shift) {
        message = "a line 'host' is missing";
    }
    if (message) {
        snprintf(error, size, "%s:%u: %s", path, number, message);
    }
    return !message;
}
