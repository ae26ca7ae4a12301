/*
 * Which descriptors of the program belong to the model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "container.h"
#include "device.h"
#include "files.h"
#include "group.h"

#define MAX_FILES 65536

static ModelFile *_Atomic files[MAX_FILES];

static bool in_table(int fd)
{
    return fd >= 0 && fd < MAX_FILES;
}

ModelFile *files_get(int fd)
{
    return in_table(fd) ? files[fd] : NULL;
}

bool files_add(int fd, FileKind kind, void *object)
{
    ModelFile *file = in_table(fd) ? malloc(sizeof(*file)) : NULL;

    if (!file) {
        return false;
    }
    file->kind = kind;
    file->references = 1;
    file->object = object;
    files[fd] = file;
    return true;
}

void files_dup(int old, int fd)
{
    if (files_get(old) && in_table(fd)) {
        files[fd] = files[old];
        files[fd]->references++;
    }
}

static void release(const ModelFile *file)
{
    switch (file->kind) {
    case FILE_CONTAINER:
        container_put(file->object);
        break;
    case FILE_GROUP:
        group_put(file->object);
        break;
    case FILE_DEVICE:
        device_put(file->object);
        break;
    }
}

void files_close(int fd)
{
    ModelFile *file = files_get(fd);

    if (!file) {
        return;
    }
    files[fd] = NULL;
    if (!--file->references) {
        release(file);
        free(file);
    }
}

void files_close_all(void)
{
    for (int fd = 0; fd < MAX_FILES; fd++) {
        files_close(fd);
    }
}
