/*
 * How much memory must be lockable for a pseries machine with devices of the
 * host?  Said before the machine is started, for any host.
 *
 * The sum is that of "info spapr-dma" and of QEMU's messages: all RAM, and the
 * tables of the host and of KVM for the default window and for one that maps
 * all memory of the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "hw/ppc/spapr_locked_size.h"
#include <getopt.h>

/* What a PHB has if no property says otherwise */
#define DEFAULT_PAGE (4 * KiB)
#define DEFAULT_WINDOW (1 * GiB)
#define LARGEST_PAGE (16 * MiB)

/* Where memory that can be plugged begins is aligned to this */
#define PLUGGED_ALIGN (1 * GiB)

/* Bare metal knows so many levels */
#define MAX_LEVELS 5

/* What QEMU itself needs, and that only roughly, if libvirt limits all of it */
#define QEMU_OWN (512 * MiB)

typedef struct Machine {
    uint64_t ram, max_ram;
    uint64_t other_ram;     /* of devices, such as a display's */
    uint64_t devices;       /* containers, as libvirt makes them: one each */
    uint64_t other_phbs;    /* with no device of the host */
    uint64_t host_page;     /* of the host's kernel */
    uint64_t ram_page;      /* that backs the guest's RAM */
    bool kvm;
} Machine;

typedef struct Sum {
    uint64_t host_tables, kvm_tables, all;
} Sum;

static const char usage[] =
"usage: spapr-dma-memlock -m SIZE[,maxmem=SIZE] [option...]\n"
"How much memory must be lockable for a pseries machine with devices of the\n"
"host?\n"
"\n"
"  -m SIZE[,maxmem=SIZE]  as for QEMU\n"
"  --devices N            devices that share no container (default 1)\n"
"  --phbs N               PCI host bridges with no device of the host\n"
"                         (default 0; with libvirt 1)\n"
"  --other-ram SIZE       RAM of devices: 16M for VGA, the size of ivshmem\n"
"  --host-page SIZE       pages of the host's kernel (default 64K)\n"
"  --ram-page SIZE        pages that back the guest's RAM (default: those)\n"
"  --tcg                  the machine is emulated\n"
"  --help                 this\n"
"  --bytes                print the sum only\n";

static G_NORETURN G_GNUC_PRINTF(1, 2) void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("spapr-dma-memlock: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("; see --help\n", stderr);
    va_end(arguments);
    exit(2);
}

static uint64_t size_of(const char *option, const char *text)
{
    uint64_t size;

    if (qemu_strtosz(text, NULL, &size) < 0 || !size) {
        fail("%s wants a size such as 64G, not '%s'", option, text);
    }
    return size;
}

static uint64_t page_of(const char *option, const char *text)
{
    uint64_t page = size_of(option, text);

    if (!is_power_of_2(page) || page < 4 * KiB || page > 16 * GiB) {
        fail("%s wants the size of a page such as 64K, not '%s'", option,
             text);
    }
    return page;
}

static uint64_t count_of(const char *option, const char *text)
{
    uint64_t count;

    if (qemu_strtou64(text, NULL, 10, &count) < 0 || count > 1000) {
        fail("%s wants a number up to 1000, not '%s'", option, text);
    }
    return count;
}

static void set_memory(Machine *machine, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    machine->max_ram = 0;
    for (char **part = parts; *part; part++) {
        const char *value = strchr(*part, '=');

        if (part == parts) {
            value = g_str_has_prefix(*part, "size=") ? value + 1 : *part;
            if (qemu_strtosz_MiB(value, NULL, &machine->ram) < 0 ||
                !machine->ram) {
                fail("-m wants a size such as 64G, not '%s'", value);
            }
        } else if (g_str_has_prefix(*part, "maxmem=")) {
            machine->max_ram = size_of("maxmem", value + 1);
        } else if (!g_str_has_prefix(*part, "slots=")) {
            fail("-m knows maxmem= and slots=, not '%s'", *part);
        }
    }
    if (!machine->max_ram) {
        machine->max_ram = machine->ram;
    }
    if (machine->max_ram < machine->ram) {
        fail("maxmem is less than the memory at the start");
    }
}

/* Up to where there can be memory, as a window's size has to be */
static uint64_t window_size(const Machine *machine)
{
    uint64_t plugged = machine->max_ram - machine->ram;

    return pow2ceil(plugged ? ROUND_UP(machine->ram, PLUGGED_ALIGN) + plugged :
                              machine->ram);
}

/* The largest page of the host that fits in @page, and in a page of RAM */
static uint64_t host_dma_page(const Machine *machine, uint64_t page)
{
    /* POWER9 has no 16 MiB, and POWER8 needs less with it */
    static const uint64_t pages[] = { 2 * MiB, 64 * KiB };
    uint64_t most = MIN(page, machine->ram_page);

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        if (pages[i] <= most) {
            return pages[i];
        }
    }
    return 4 * KiB;
}

static void add_window(const Machine *machine, uint64_t size, uint64_t page,
                       Sum *sum)
{
    uint64_t entries = MAX(size / host_dma_page(machine, page), 1);
    unsigned levels = spapr_locked_levels(machine->host_page, MAX_LEVELS,
                                          entries);

    sum->host_tables += machine->devices *
        spapr_locked_host_table(machine->host_page, entries, levels);
    if (machine->kvm) {
        sum->kvm_tables += (machine->devices + machine->other_phbs) *
            spapr_locked_kvm_table(machine->host_page, MAX(size / page, 1));
    }
}

static Sum add_up(const Machine *machine)
{
    Sum sum = { };

    add_window(machine, DEFAULT_WINDOW, DEFAULT_PAGE, &sum);
    add_window(machine, window_size(machine), LARGEST_PAGE, &sum);
    sum.all = machine->ram + machine->other_ram +
              sum.host_tables + sum.kvm_tables;
    return sum;
}

/* What libvirt 11 allows by itself for a domain with devices of the host */
static uint64_t libvirt_allows(const Machine *machine)
{
    uint64_t phbs = machine->devices + machine->other_phbs;
    uint64_t passthrough = MAX(2 * GiB * phbs,
                               machine->ram + machine->ram / 512 * phbs +
                               8 * MiB);

    return machine->max_ram / 128 + 4 * MiB * phbs + 8 * MiB + passthrough;
}

static void print(const Machine *machine, const Sum *sum)
{
    uint64_t pluggable = machine->max_ram - machine->ram;
    uint64_t all = sum->all + pluggable;

    printf("RAM                  %20" PRIu64 "\n",
           machine->ram + machine->other_ram);
    printf("tables of the host   %20" PRIu64 "\n", sum->host_tables);
    printf("tables of KVM        %20" PRIu64 "\n", sum->kvm_tables);
    printf("must be lockable     %20" PRIu64 " bytes\n", sum->all);
    if (pluggable) {
        printf("with all of maxmem   %20" PRIu64 " bytes\n", all);
    }
    printf("\nshell:    ulimit -l %" PRIu64 "\n", DIV_ROUND_UP(all, KiB));
    printf("systemd:  LimitMEMLOCK=%" PRIu64 "\n", all);
    printf("libvirt:  allows %" PRIu64 " by itself, which is %s at the start\n",
           libvirt_allows(machine),
           libvirt_allows(machine) >= sum->all ? "enough" : "too little");
    printf("          <hard_limit> limits all memory of QEMU as well: leave it"
           " out, or have\n          <memtune><hard_limit unit='KiB'>%" PRIu64
           "</hard_limit></memtune>\n", DIV_ROUND_UP(all + QEMU_OWN, KiB));
}

int main(int argc, char **argv)
{
    enum {
        DEVICES = 256, PHBS, OTHER_RAM, HOST_PAGE, RAM_PAGE, TCG, BYTES, HELP
    };
    static const struct option options[] = {
        { "devices", required_argument, NULL, DEVICES },
        { "phbs", required_argument, NULL, PHBS },
        { "other-ram", required_argument, NULL, OTHER_RAM },
        { "host-page", required_argument, NULL, HOST_PAGE },
        { "ram-page", required_argument, NULL, RAM_PAGE },
        { "tcg", no_argument, NULL, TCG },
        { "bytes", no_argument, NULL, BYTES },
        { "help", no_argument, NULL, HELP },
        { }
    };
    Machine machine = { .devices = 1, .host_page = 64 * KiB, .kvm = true };
    bool just_bytes = false;
    Sum sum;
    int c;

    while ((c = getopt_long(argc, argv, "m:", options, NULL)) != -1) {
        switch (c) {
        case 'm':
            set_memory(&machine, optarg);
            break;
        case DEVICES:
            machine.devices = count_of("--devices", optarg);
            break;
        case PHBS:
            machine.other_phbs = count_of("--phbs", optarg);
            break;
        case OTHER_RAM:
            machine.other_ram = size_of("--other-ram", optarg);
            break;
        case HOST_PAGE:
            machine.host_page = page_of("--host-page", optarg);
            break;
        case RAM_PAGE:
            machine.ram_page = page_of("--ram-page", optarg);
            break;
        case TCG:
            machine.kvm = false;
            break;
        case BYTES:
            just_bytes = true;
            break;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fail("wrong option");
        }
    }
    if (optind < argc) {
        fail("'%s' is no option", argv[optind]);
    }
    if (!machine.ram) {
        fail("-m is missing");
    }
    machine.ram_page = machine.ram_page ?: machine.host_page;
    sum = add_up(&machine);
    if (just_bytes) {
        printf("%" PRIu64 "\n", sum.all);
    } else {
        print(&machine, &sum);
    }
    return 0;
}
