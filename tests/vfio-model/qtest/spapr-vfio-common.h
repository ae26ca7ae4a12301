/*
 * sPAPR DMA windows with devices of the host: what the qtests of them share
 *
 * QEMU runs under a model of the host's VFIO driver, which makes the host's
 * mistakes, fails calls on demand, and tells what windows it has and how many
 * TCEs are mapped in them.  Its devices have a DMA engine that reaches guest
 * RAM through those windows.  The variable VFIO_MODEL names the command that
 * runs a program under the model; without it every test is skipped.
 *
 * Words: a host is written as the lines of a topology; what it has is written
 * as "container[start+size/page_shift:mapped ...]", numbers in hexadecimal
 * except for the shift.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_SPAPR_VFIO_COMMON_H
#define TESTS_SPAPR_VFIO_COMMON_H

#include "spapr-dma-common.h"

#define PAGE    4096

/* Device 1 is in group 1 and so on, and has slot 1 of the PHB and so on */
#define DEVICE(n)   "device 0001:0" #n ":00.0 group=" #n "\n"
#define ONE         "group 1\n" DEVICE(1)
#define TWO         ONE "group 2\n" DEVICE(2)
#define POWERNV     "host flavour=powernv\n"

/* With a limit of locked memory that is not met, see vfio_unprivileged() */
#define LIMITED     "host flavour=powernv memlock=4096T\n"

/* A device on the command line */
#define VFIO(n)     "-device vfio-pci,id=vf" #n ",addr=" #n ".0," \
                    "host=0001:0" #n ":00.0"
#define VFIO1       VFIO(1) " "
#define VFIO2       VFIO(2) " "
#define VFIO2_V1    VFIO(2) ",x-spapr-v1=on "

/* The same for device_add */
#define PLUG(n)     "{'driver': 'vfio-pci', 'id': 'vf" #n "'," \
                    " 'host': '0001:0" #n ":00.0', 'addr': '" #n ".0'}"

/* Takes KVM's place, see tests/aids */
#define KVM         "-device spapr-dma-test-kvm,id=kvm "

/* What the host has as long as there is the default window only */
#define JUST_DEFAULT    "[0+40000000/12:0]"

/* Results of the DMA engine */
enum {
    RESULT_OK = 1,
    RESULT_READ_FAULT = 2,
    RESULT_WRITE_FAULT = 3,
};

/**
 * VfioTest: a machine under the model
 * @t: the machine
 * @dir: where the files of the run are
 * @topology: the host, as the model reads it
 * @control: socket of the model
 * @log: what QEMU and the model say
 */
typedef struct VfioTest {
    SpaprDmaTest *t;
    char *dir;
    char *topology;
    char *control;
    char *log;
} VfioTest;

/**
 * VfioHugeRam: guest RAM in a file that claims pages of 2 MiB
 * @options: of QEMU
 */
typedef struct VfioHugeRam {
    char *dir, *path, *options;
} VfioHugeRam;

/**
 * vfio_test_init: call this first in main()
 *
 * Does not return if there is no model: the tests are skipped.
 */
void vfio_test_init(int *argc, char ***argv);

/**
 * vfio_make_dir: a new directory; the caller removes it and frees the name
 */
char *vfio_make_dir(void);

/**
 * vfio_boot: start a machine on a host
 * @topology: the host
 * @quirk: what is odd with the host, or NULL
 * @options: more options of QEMU
 */
VfioTest *vfio_boot(const char *topology, const char *quirk,
                    const char *options);

/**
 * vfio_boot_under: the same, the model run by another command
 * @wrapper: a command that runs a command, with a space behind it, or ""
 */
VfioTest *vfio_boot_under(const char *wrapper, const char *topology,
                          const char *quirk, const char *options);

/**
 * vfio_unprivileged: a wrapper that lets a limit of locked memory hold
 *
 * Who may lock more than the limit (CAP_IPC_LOCK) has none.
 */
const char *vfio_unprivileged(void);

/**
 * vfio_start: try to start a machine, and end it at once if that works
 * @wrapper: as in vfio_boot_under()
 * @topology: the host
 * @options: more options of QEMU
 * @status: 0 if it has started
 *
 * Returns what QEMU has said, to be freed.
 */
char *vfio_start(const char *wrapper, const char *topology,
                 const char *options, int *status);

/**
 * vfio_assert_not_started: a machine does not start, and @text says why
 */
void vfio_assert_not_started(const char *topology, const char *options,
                             const char *text);

/**
 * vfio_boot_pages: the same as vfio_boot() on a host with pages of @page
 * bytes, where files that are called *.huge are made of pages of 2 MiB
 */
VfioTest *vfio_boot_pages(unsigned page, const char *topology,
                          const char *options);

/**
 * vfio_quit: stop the machine; the host must have nothing to complain about
 */
void vfio_quit(VfioTest *v);

/**
 * vfio_huge_ram_new: make such RAM
 * @devices: more options of QEMU
 */
VfioHugeRam vfio_huge_ram_new(const char *devices);
void vfio_huge_ram_free(VfioHugeRam *ram);

/**
 * vfio_log_count: how many lines of the log have @text in them
 *
 * Empty lines do not count, and neither does one that ASAN begins with since
 * it does not know coroutines well.
 */
unsigned vfio_log_count(VfioTest *v, const char *text);

/**
 * vfio_fault: let the host fail calls
 * @rule: which calls, and how; added to the rules that there are
 */
void vfio_fault(VfioTest *v, const char *rule);
void vfio_no_fault(VfioTest *v);

/**
 * vfio_calls: how often a call was made, whatever came of it
 */
unsigned vfio_calls(VfioTest *v, const char *call);

/**
 * vfio_refused: how often that failed
 */
unsigned vfio_refused(VfioTest *v, const char *call);

/**
 * vfio_number: a number of the model's ledger, for instance "interrupts"
 */
unsigned vfio_number(VfioTest *v, const char *name);

/**
 * vfio_mappings: how many mappings there are in a type 1 IOMMU
 */
unsigned vfio_mappings(VfioTest *v);

/**
 * vfio_regions: how many pieces of RAM are registered
 */
unsigned vfio_regions(VfioTest *v);

/**
 * vfio_registered: how many bytes they have
 */
uint64_t vfio_registered(VfioTest *v);

/**
 * vfio_locked: bytes that the host counts as locked memory
 */
uint64_t vfio_locked(VfioTest *v);

/**
 * vfio_assert_host: the host has these windows
 * @expected: all containers in one string, in order of their age
 */
void vfio_assert_host(VfioTest *v, const char *expected);

/**
 * vfio_assert_plugged: device_add succeeds
 * @json: its arguments
 */
void vfio_assert_plugged(VfioTest *v, const char *json);

/**
 * vfio_assert_not_plugged: device_add fails, with @text in the reason
 */
void vfio_assert_not_plugged(VfioTest *v, const char *json, const char *text);

/**
 * vfio_unplug: unplug a device as a guest does that has stopped using it
 */
void vfio_unplug(VfioTest *v, const char *id, unsigned slot);

/**
 * vfio_show: let a spapr-dma-test-region be there, or not
 */
void vfio_show(VfioTest *v, const char *id, bool shown);

/**
 * vfio_create: create a window, which must succeed
 * @addr: where it has to be
 */
SpaprDdwWindow vfio_create(VfioTest *v, uint32_t page_shift,
                           uint32_t window_shift, uint64_t addr);

/**
 * vfio_put: store a TCE
 * @status: what the hypercall has to answer
 */
void vfio_put(VfioTest *v, uint32_t liobn, uint64_t ioba, uint64_t tce,
              int64_t status);

/**
 * vfio_dma_copy: let a device copy a page from one bus address to another
 *
 * Returns the engine's result.
 */
uint32_t vfio_dma_copy(VfioTest *v, unsigned slot, uint64_t from, uint64_t to);

/**
 * vfio_assert_dma: a page of data arrives through two TCEs of a window
 * @bus: the first of two pages there
 * @gpa: the first of two pages of guest memory that they are mapped to
 */
void vfio_assert_dma(VfioTest *v, unsigned slot, uint64_t bus, uint64_t gpa);

#endif /* TESTS_SPAPR_VFIO_COMMON_H */
