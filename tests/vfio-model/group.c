/*
 * IOMMU groups
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "device.h"
#include "driver.h"
#include "files.h"
#include "group.h"
#include "ioctl-table.h"
#include "user-memory.h"

Group *group_by_number(int number)
{
    Group *group = host.groups;

    while (group && group->number != number) {
        group = group->next;
    }
    return group;
}

long group_open(Group *group)
{
    if (group->open) {
        return -EBUSY;
    }
    group->open = true;
    group->holders = 1;
    return 0;
}

void group_put(Group *group)
{
    if (--group->holders) {
        return;
    }
    if (group->container) {
        container_detach(group);
    }
    group->open = false;
}

bool group_translate(const Group *group, uint64_t bus, bool write,
                     uint64_t *length, uint64_t *user)
{
    if (!group->container || !group->container->driver) {
        return false;
    }
    return host_driver()->translate(group, bus, write, length, user);
}

long group_get_status(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_group_status *status = (void *)argument->copy.bytes;
    const Group *group = file->object;

    status->flags = VFIO_GROUP_FLAGS_VIABLE;
    if (group->container) {
        status->flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
    }
    return 0;
}

long group_set_container(ModelFile *file, IoctlArgument *argument)
{
    Group *group = file->object;
    ModelFile *other;
    int32_t fd;

    memcpy(&fd, argument->copy.bytes, sizeof(fd));
    if (syscall(SYS_fcntl, fd, F_GETFD) < 0) {
        return -EBADF;
    }
    if (group->container) {
        return -EINVAL;
    }
    other = files_get(fd);
    if (!other || other->kind != FILE_CONTAINER) {
        return -EBADFD;
    }
    return container_attach(other->object, group);
}

long group_unset_container(ModelFile *file, IoctlArgument *argument)
{
    Group *group = file->object;

    if (!group->container) {
        return -EINVAL;
    }
    if (group->holders != 1) {
        return -EBUSY;
    }
    container_detach(group);
    return 0;
}

/* A string of the program, at most @size bytes with its end */
static long read_string(char *to, uint64_t from, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        if (user_read(to + i, from + i, 1)) {
            return -EFAULT;
        }
        if (!to[i]) {
            return 0;
        }
    }
    return -EINVAL;
}

long group_get_device(ModelFile *file, IoctlArgument *argument)
{
    Group *group = file->object;
    Function *function = group->functions;
    char name[64];
    long ret = read_string(name, argument->address, sizeof(name));

    if (ret) {
        return ret;
    }
    while (function && strcmp(function->name, name)) {
        function = function->next_in_group;
    }
    if (!function) {
        return -ENODEV;
    }
    if (!group->container || !group->container->driver) {
        return -EINVAL;
    }
    return device_open(function);
}
