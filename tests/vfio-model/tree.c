/*
 * The generated tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pci-function.h"
#include "tree.h"

typedef struct {
    const char *root;
    bool failed;
} Tree;

static void make_path(const Tree *tree, char *path, const char *format,
                      va_list arguments)
{
    const int length = snprintf(path, PATH_MAX, "%s/", tree->root);

    vsnprintf(path + length, PATH_MAX - length, format, arguments);
}

/* Make a directory and those above it */
static void __attribute__((format(printf, 2, 3)))
directory(Tree *tree, const char *format, ...)
{
    char path[PATH_MAX], *slash;
    va_list arguments;

    va_start(arguments, format);
    make_path(tree, path, format, arguments);
    va_end(arguments);
    for (slash = path + strlen(tree->root); slash; ) {
        slash = strchr(slash + 1, '/');
        if (slash) {
            *slash = 0;
        }
        tree->failed |= mkdir(path, 0777) < 0 && errno != EEXIST;
        if (slash) {
            *slash = '/';
        }
    }
}

static void __attribute__((format(printf, 3, 4)))
text(Tree *tree, const char *content, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;
    FILE *file;

    va_start(arguments, format);
    make_path(tree, path, format, arguments);
    va_end(arguments);
    file = fopen(path, "we");
    tree->failed |= !file || fputs(content, file) < 0;
    if (file) {
        fclose(file);
    }
}

static void __attribute__((format(printf, 3, 4)))
link_to(Tree *tree, const char *target, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    make_path(tree, path, format, arguments);
    va_end(arguments);
    tree->failed |= symlink(target, path) < 0;
}

static void add_group(Tree *tree, const Group *group)
{
    directory(tree, "sys/kernel/iommu_groups/%d/devices", group->number);
    text(tree, "DMA\n", "sys/kernel/iommu_groups/%d/type", group->number);
    text(tree, "", "dev/vfio/%d", group->number);
}

static void add_number(Tree *tree, const Function *function,
                       const char *file, unsigned number)
{
    char line[32];

    snprintf(line, sizeof(line), "0x%04x\n", number);
    text(tree, line, "sys/devices/%s/%s", function->name, file);
}

/* First and last address and flags of each BAR, the ROM and the bridge */
static void add_resources(Tree *tree, const Function *function)
{
    char lines[1024] = "";
    size_t length = 0;

    for (unsigned i = 0; i < 13; i++) {
        const uint64_t size = i < BAR_COUNT ? pci_bar(function, i).size : 0;
        const uint64_t start = size ? 0x80000000ull + 0x100000 * i : 0;

        length += snprintf(lines + length, sizeof(lines) - length,
                           "0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016x\n",
                           start, size ? start + size - 1 : 0,
                           size ? 0x40200 : 0);
    }
    text(tree, lines, "sys/devices/%s/resource", function->name);
}

static void add_function(Tree *tree, const Function *function)
{
    const char *name = function->name;
    char target[64];

    directory(tree, "sys/devices/%s", name);
    snprintf(target, sizeof(target), "../../../devices/%s", name);
    link_to(tree, target, "sys/bus/pci/devices/%s", name);
    snprintf(target, sizeof(target), "../../../../devices/%s", name);
    link_to(tree, target, "sys/bus/pci/drivers/vfio-pci/%s", name);
    link_to(tree, target, "sys/kernel/iommu_groups/%d/devices/%s",
            function->group->number, name);
    snprintf(target, sizeof(target), "../../kernel/iommu_groups/%d",
             function->group->number);
    link_to(tree, target, "sys/devices/%s/iommu_group", name);
    link_to(tree, "../../bus/pci", "sys/devices/%s/subsystem", name);
    link_to(tree, "../../bus/pci/drivers/vfio-pci", "sys/devices/%s/driver",
            name);
    add_number(tree, function, "vendor", function->vendor);
    add_number(tree, function, "device", function->device);
    add_number(tree, function, "subsystem_vendor", function->vendor);
    add_number(tree, function, "subsystem_device", 0);
    add_resources(tree, function);
    text(tree, "0x080100\n", "sys/devices/%s/class", name);
    text(tree, "-1\n", "sys/devices/%s/numa_node", name);
}

bool tree_make(const Host *host, const char *root)
{
    Tree tree = { root, false };
    const Function *function;
    const Group *group;

    directory(&tree, "dev/vfio");
    directory(&tree, "sys/bus/pci/devices");
    directory(&tree, "sys/bus/pci/drivers/vfio-pci");
    directory(&tree, "sys/kernel/iommu_groups");
    directory(&tree, "sys/module/vfio");
    directory(&tree, "sys/module/vfio_pci");
    text(&tree, "", "dev/vfio/vfio");
    for (group = host->groups; group; group = group->next) {
        add_group(&tree, group);
    }
    for (function = host->functions; function; function = function->next) {
        add_function(&tree, function);
    }
    return !tree.failed;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    remove(path);
    return 0;
}

void tree_remove(const char *root)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
