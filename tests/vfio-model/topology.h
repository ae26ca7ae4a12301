/*
 * The machine that the model pretends to be
 *
 * A topology is a text file.  Each line says one thing, '#' starts a comment:
 *
 *   host   key=value...            once, before anything else
 *   group  NUMBER key=value...     an IOMMU group
 *   device SSSS:BB:DD.F group=NUMBER key=value...
 *
 * Sizes take the suffixes K, M, G, T.  docs/devel/vfio-model.md lists the keys.
 *
 * A Host and what hangs on it is read once, before the program starts, and
 * lives as long as the process.  Only its configuration is set here; the
 * runtime state of groups and functions belongs to group.c and device.c and
 * is guarded by the lock of the model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_TOPOLOGY_H
#define VFIO_MODEL_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    FLAVOUR_POWERNV,    /* bare metal POWER8 and later: v1 and v2 */
    FLAVOUR_LPAR,       /* a partition as host: v1 and v2, own tables only */
    FLAVOUR_P7,         /* no dynamic windows: v1 only */
    FLAVOUR_TYPE1,      /* an x86 or Arm host: type1 version 2 */
} Flavour;

typedef enum {
    FRAMES_SCATTERED,   /* no two neighbouring pages are neighbours */
    FRAMES_HUGE,        /* runs of 2 MiB, aligned */
    FRAMES_MIXED,       /* runs of 2 MiB and single pages in turn */
    FRAMES_CONTIGUOUS,  /* one run */
} FrameLayout;

typedef enum {
    KIND_PLAIN,         /* configuration space, a memory BAR, MSI */
    KIND_ENGINE,        /* DMA engine, a memory BAR, MSI-X */
} DeviceKind;

typedef struct Group Group;
typedef struct Function Function;
typedef struct Container Container;
typedef struct TceTable TceTable;

#define MAX_WINDOWS 2
#define MAX_VECTORS 16
#define MAX_IRQ_INDEX 5
#define BAR_COUNT 6

/* A PCI function under vfio-pci */
struct Function {
    Function *next;             /* in the topology; set once */
    Function *next_in_group;    /* set once */
    Group *group;               /* set once */
    char name[16];              /* "0000:01:00.0"; set once */
    unsigned segment, bus, slot, function;
    DeviceKind kind;
    uint16_t vendor, device;
    bool intx;

    unsigned opens;             /* open device descriptors */
    int memory_fd;              /* what the BARs are made of; -1: closed */
    uint8_t *memory;            /* the same, mapped */
    uint8_t config[256];
    uint8_t config_mask[256];   /* bits that a write changes */
    int interrupt_type;         /* VFIO index that is set up; -1: none */
    unsigned vectors;           /* of that type */
    int eventfds[MAX_IRQ_INDEX][MAX_VECTORS];   /* -1: none */
    uint32_t registers[16];     /* of the DMA engine */
};

/* An IOMMU group, which on POWER is a partitionable endpoint */
struct Group {
    Group *next;                /* in the topology; set once */
    int number;
    Function *functions;
    uint64_t page_sizes;        /* bit n: pages of 2^n bytes */
    unsigned windows;           /* 0: no dynamic windows */
    uint64_t dma32_size;        /* bytes of the default window */

    bool open;                  /* one descriptor, however often dup'ed */
    unsigned holders;           /* that descriptor and open devices */
    Container *container;
    Group *next_in_container;
    TceTable *tables[MAX_WINDOWS];  /* what the bridge looks up */
    bool windows_failed;        /* for good, in a partition */
    int eeh_state;              /* VFIO_EEH_PE_STATE_* */
};

typedef struct Host {
    Flavour flavour;
    unsigned page_shift;        /* of the pages that the host pins */
    uint64_t page_sizes, dma32_start, dma32_size, start64;
    unsigned windows, levels;
    uint64_t memlock;           /* bytes; UINT64_MAX: no limit */
    uint64_t memlock_max;       /* the hard limit, if it is higher */
    bool userns;                /* capabilities are of a user namespace */
    uint64_t backing;           /* pages that memory claims to be made of */
    uint64_t contiguous;        /* largest piece of a TCE table, bytes */
    bool eeh;                   /* the EEH extension is there */
    bool freeze;                /* a DMA fault freezes the group */
    FrameLayout frames;         /* type1 */
    uint64_t iommu_pages;       /* type1: page sizes of the IOMMU */
    unsigned dma_entries;       /* type1: mappings in one container */
    Group *groups;              /* in order of the file */
    Function *functions;
} Host;

/**
 * topology_load - read a topology
 * @host: filled in; untouched fields are zero
 * @path: the file
 * @error: room for a message with file and line
 * @size: bytes at @error
 *
 * Returns true, or false with @error set.
 */
bool topology_load(Host *host, const char *path, char *error, unsigned size);

#endif
