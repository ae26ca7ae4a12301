/*
 * Paths that lead into the tree of the model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "paths.h"

static const char *root;

void path_set_root(const char *directory)
{
    root = directory;
}

/* Does @path lie at or below @prefix */
static bool below(const char *path, const char *prefix)
{
    const size_t length = strlen(prefix);

    return !strncmp(path, prefix, length) &&
           (!path[length] || path[length] == '/');
}

const char *path_redirect(const char *path, char *buffer)
{
    static const char *const prefixes[] = {
        "/dev/vfio", "/sys/bus/pci/devices", "/sys/bus/pci/drivers/vfio-pci",
        "/sys/kernel/iommu_groups", "/sys/module/vfio",
        "/sys/module/vfio_pci", NULL
    };

    for (int i = 0; root && path && prefixes[i]; i++) {
        if (below(path, prefixes[i]) &&
            snprintf(buffer, PATH_MAX, "%s%s", root, path) < PATH_MAX) {
            return buffer;
        }
    }
    return path;
}

const char *path_vfio_name(const char *path)
{
    return path && root && !strncmp(path, "/dev/vfio/", 10) ? path + 10 :
                                                             NULL;
}
