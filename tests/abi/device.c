/*
 * Devices: what holds for every PCI function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi.h"

static void information(int fd)
{
    struct vfio_device_info info = { .argsz = 8 };
    struct vfio_region_info region = { .argsz = sizeof(region) };
    struct vfio_irq_info irq = { .argsz = sizeof(irq) };

    check("info, argsz 8", call(fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
    info.argsz = sizeof(info);
    check("info", call(fd, VFIO_DEVICE_GET_INFO, &info), 0);
    check("it is PCI", !!(info.flags & VFIO_DEVICE_FLAGS_PCI), 1);
    check("regions", info.num_regions, VFIO_PCI_NUM_REGIONS);
    check("interrupts", info.num_irqs, VFIO_PCI_NUM_IRQS);
    region.index = VFIO_PCI_CONFIG_REGION_INDEX;
    check("configuration",
          call(fd, VFIO_DEVICE_GET_REGION_INFO, &region), 0);
    check("can be read and written", region.flags, 3);
    check("at its place", region.offset == 7ull << 40, 1);
    region.index = VFIO_PCI_VGA_REGION_INDEX;
    check("VGA", call(fd, VFIO_DEVICE_GET_REGION_INFO, &region), -EINVAL);
    region.index = 9;
    check("region 9", call(fd, VFIO_DEVICE_GET_REGION_INFO, &region),
          -EINVAL);
    region.argsz = 8;
    check("region, argsz 8",
          call(fd, VFIO_DEVICE_GET_REGION_INFO, &region), -EINVAL);
    irq.index = VFIO_PCI_REQ_IRQ_INDEX;
    check("request interrupt", call(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq), 0);
    check("there is one", irq.count, 1);
    irq.index = 5;
    check("interrupt 5", call(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);
    irq.argsz = 8;
    check("interrupt, argsz 8",
          call(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);
    check("unknown call", call(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL),
          -ENOTTY);
}

static long set_irqs(int fd, uint32_t flags, uint32_t index, uint32_t start,
                     uint32_t count, int eventfd)
{
    struct {
        struct vfio_irq_set set;
        int32_t fd;
    } request = {
        { sizeof(request), flags, index, start, count }, eventfd
    };

    return call(fd, VFIO_DEVICE_SET_IRQS, &request);
}

static void interrupts(int fd)
{
    const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
    const uint32_t mask = VFIO_IRQ_SET_ACTION_MASK;
    const uint32_t none = VFIO_IRQ_SET_DATA_NONE;
    const uint32_t events = VFIO_IRQ_SET_DATA_EVENTFD;
    const int event = eventfd(0, EFD_NONBLOCK);
    uint64_t value = 0;

    check("index 5", set_irqs(fd, none | trigger, 5, 0, 1, -1), -EINVAL);
    check("no action", set_irqs(fd, none, 4, 0, 1, -1), -ENOTTY);
    check("two actions", set_irqs(fd, none | trigger | mask, 4, 0, 1, -1),
          -ENOTTY);
    check("no data type", set_irqs(fd, trigger, 4, 0, 1, -1), -EINVAL);
    check("flag 64", set_irqs(fd, none | trigger | 64, 4, 0, 1, -1),
          -EINVAL);
    check("start 1 of 1", set_irqs(fd, none | trigger, 4, 1, 0, -1),
          -EINVAL);
    check("2 of 1", set_irqs(fd, events | trigger, 4, 0, 2, event),
          -EINVAL);
    check("mask a request", set_irqs(fd, none | mask, 4, 0, 1, -1),
          -ENOTTY);
    check("request eventfd", set_irqs(fd, events | trigger, 4, 0, 1, event),
          0);
    check("signal it", set_irqs(fd, none | trigger, 4, 0, 1, -1), 0);
    check("it came", read(event, &value, sizeof(value)) == sizeof(value) &&
                     value == 1, 1);
    check("take it away", set_irqs(fd, events | trigger, 4, 0, 1, -1), 0);
}

static void configuration(int fd)
{
    const off_t config = 7ll << 40;
    uint16_t first = 0, second = 0;

    check("read the vendor", pread(fd, &first, 2, config), 2);
    check("no vendor is ffff", first != 0xffff && first, 1);
    second = ~first;
    check("write it", pwrite(fd, &second, 2, config), 2);
    check("read it again", pread(fd, &second, 2, config), 2);
    check("it stayed", second == first, 1);
}

static void device(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = call(setup.groups[0], VFIO_GROUP_GET_DEVICE_FD,
                        host.devices[0]);

    check("open", fd >= 0, 1);
    information(fd);
    interrupts(fd);
    configuration(fd);
}

void device_cases(void)
{
    run_case("device", device);
}
