/*
 * Containers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>

#include "container.h"
#include "driver.h"
#include "ioctl-table.h"

Container *containers;

Container *container_open(void)
{
    static unsigned opened;
    Container *container = calloc(1, sizeof(*container));
    Container **last = &containers;

    if (!container) {
        return NULL;
    }
    container->id = ++opened;
    container->references = 1;
    while (*last) {
        last = &(*last)->next;
    }
    *last = container;
    return container;
}

void container_put(Container *container)
{
    Container **link = &containers;

    if (--container->references) {
        return;
    }
    while (*link != container) {
        link = &(*link)->next;
    }
    *link = container->next;
    free(container);
}

static void driver_release(Container *container)
{
    host_driver()->release(container);
    container->driver = DRIVER_NONE;
}

static void add_group(Container *container, Group *group)
{
    group->next_in_container = container->groups;
    container->groups = group;
}

static void remove_group(Container *container, Group *group)
{
    Group **link = &container->groups;

    while (*link != group) {
        link = &(*link)->next_in_container;
    }
    *link = group->next_in_container;
    group->next_in_container = NULL;
}

long container_attach(Container *container, Group *group)
{
    long ret = container->driver ? host_driver()->attach(container, group) : 0;

    if (ret) {
        return ret;
    }
    add_group(container, group);
    group->container = container;
    container->references++;
    return 0;
}

void container_detach(Group *group)
{
    Container *container = group->container;

    remove_group(container, group);
    group->container = NULL;
    if (container->driver) {
        host_driver()->detach(container, group);
        if (!container->groups) {
            driver_release(container);
        }
    }
    container_put(container);
}

long container_get_api_version(ModelFile *file, IoctlArgument *argument)
{
    return VFIO_API_VERSION;
}

long container_check_extension(ModelFile *file, IoctlArgument *argument)
{
    return host_driver()->check_extension(argument->address);
}

/* The driver of an IOMMU type; extensions that are no type open nothing */
static Driver driver_of_type(uint64_t type)
{
    switch (type) {
    case VFIO_SPAPR_TCE_IOMMU:
        return DRIVER_SPAPR_V1;
    case VFIO_SPAPR_TCE_v2_IOMMU:
        return DRIVER_SPAPR_V2;
    case VFIO_TYPE1_IOMMU:
        return DRIVER_TYPE1_V1;
    case VFIO_TYPE1v2_IOMMU:
        return DRIVER_TYPE1_V2;
    default:
        return DRIVER_NONE;
    }
}

/* The groups come in one by one, as if the container had none before */
static long attach_all(Container *container)
{
    Group *waiting = container->groups, *group;
    long ret = 0;

    container->groups = NULL;
    while (waiting && !ret) {
        group = waiting;
        ret = host_driver()->attach(container, group);
        if (!ret) {
            waiting = group->next_in_container;
            add_group(container, group);
        }
    }
    if (ret) {
        for (group = container->groups; group; group = container->groups) {
            remove_group(container, group);
            host_driver()->detach(container, group);
            group->next_in_container = waiting;
            waiting = group;
        }
        container->groups = waiting;
    }
    return ret;
}

long container_set_iommu(ModelFile *file, IoctlArgument *argument)
{
    Container *container = file->object;
    const Driver driver = driver_of_type(argument->address);
    long ret;

    if (!container->groups || container->driver) {
        return -EINVAL;
    }
    if (host_driver()->check_extension(argument->address) <= 0) {
        return -ENODEV;
    }
    if (!driver) {
        return -EINVAL;
    }
    container->driver = driver;
    ret = attach_all(container);
    if (ret) {
        driver_release(container);
    }
    return ret;
}
