/*
 * sPAPR DMA windows: who mirrors them
 *
 * A mapper keeps a copy of all windows of one address space elsewhere: a VFIO
 * container is one.  It is to windows what a RamDiscardListener is to a
 * RamDiscardManager: it is registered on the object, what is there is replayed
 * to it, it hears of each change before that takes effect and may refuse; then
 * those who had agreed are taken back.
 *
 * Mappers are told directly instead of through IOMMU notifiers because a
 * notifier can neither refuse nor take a range that is not a naturally aligned
 * power of two.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_MAPPER_H
#define HW_PPC_SPAPR_DMA_MAPPER_H

#include "hw/ppc/spapr_dma_window.h"
#include "qapi/qapi-types-spapr-dma.h"

typedef struct SpaprDmaMapper SpaprDmaMapper;
typedef struct SpaprDmaLocked SpaprDmaLocked;

/**
 * SpaprDmaSpace: the windows of one address space, and their mappers
 * @as: the address space
 * @windows: all of them, enabled or not
 * @mappers: all who are registered
 * @next_id: number that the next mapper gets
 */
struct SpaprDmaSpace {
    AddressSpace *as;
    uint32_t next_id;
    QLIST_HEAD(, SpaprDmaWindow) windows;
    QLIST_HEAD(, SpaprDmaMapper) mappers;
};

/**
 * SpaprDmaRun: neighbouring pages with one permission and contiguous target
 * @iova: first bus address
 * @gpa: address in the window's target that @iova translates to
 * @size: bytes, a multiple of the window's page size
 * @perm: what the device may do, never %IOMMU_NONE
 */
typedef struct SpaprDmaRun {
    uint64_t iova;
    uint64_t gpa;
    uint64_t size;
    IOMMUAccessFlags perm;
} SpaprDmaRun;

/**
 * SpaprDmaLimiter: who keeps a limit from being higher
 * @reason: what it is
 * @mapper: whose limit it is, NULL if it is that of the windows' owner
 */
typedef struct SpaprDmaLimiter {
    SpaprDmaLimitReason reason;
    const SpaprDmaMapper *mapper;
} SpaprDmaLimiter;

/**
 * SpaprDmaLimits: what windows can still be created in a space, and why no more
 * @page_sizes: bit n set means pages of 2^n bytes
 * @max_size: bytes of the largest window
 * @max_tces: TCEs of the largest window, of whatever page size
 * @windows: how many at once, besides those that are enabled
 * @page_sizes_by: for each page size that was taken away, by whom
 * @max_size_by: who has set @max_size, and so on
 * @asked: the mapper that lowers limits now, NULL if it is the owner
 *
 * Limits are lowered by spapr_dma_limit_...() only, which note who it was.
 */
typedef struct SpaprDmaLimits {
    uint64_t page_sizes;
    uint64_t max_size;
    uint64_t max_tces;
    unsigned windows;
    SpaprDmaLimiter page_sizes_by[64];
    SpaprDmaLimiter max_size_by;
    SpaprDmaLimiter max_tces_by;
    SpaprDmaLimiter windows_by;
    const SpaprDmaMapper *asked;
} SpaprDmaLimits;

/**
 * SpaprDmaMapperOps: what a mapper can do
 */
typedef struct SpaprDmaMapperOps {
    /**
     * @window_add: prepare to mirror @window, of which no entry is known yet
     *
     * The window has its geometry but may not be visible to anybody yet, and
     * KVM does not handle its hypercalls.  Returns false with @errp set, and
     * nothing left behind, if this mapper cannot back such a window.
     */
    bool (*window_add)(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                       Error **errp);

    /**
     * @window_del: drop @window with all that is mapped in it; cannot fail
     *
     * KVM does not update this mapper's copy any more.
     */
    void (*window_del)(SpaprDmaMapper *mapper, SpaprDmaWindow *window);

    /**
     * @map: map @run, replacing what was mapped there
     *
     * A guest's run lies in RAM, memory of devices included; one that came
     * with a migration may lie anywhere.  Returns 0, or a negative errno with
     * no page of the run mapped (pages that were replaced are lost).
     */
    int (*map)(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
               const SpaprDmaRun *run);

    /**
     * @unmap: make [@iova, @iova + @size) fault; holes are fine; cannot fail
     */
    void (*unmap)(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                  uint64_t iova, uint64_t size);

    /**
     * @kvm_connect: have KVM update this copy along with its own table
     *
     * @window->kvm_fd is the table; no vCPU runs in KVM meanwhile.  Returns
     * false with @errp set if KVM refuses; its table is closed then, which
     * undoes what was connected.  NULL for mappers that always see all.
     */
    bool (*kvm_connect)(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                        Error **errp);

    /**
     * @limits: lower @limits to what this mapper can back; may be NULL
     */
    void (*limits)(SpaprDmaMapper *mapper, SpaprDmaLimits *limits);

    /**
     * @can_start: could a window start at @bus_offset?  May be NULL: yes
     */
    bool (*can_start)(SpaprDmaMapper *mapper, uint64_t bus_offset);

    /**
     * @expect_ram: get ready for RAM that is about to be plugged; may be NULL
     *
     * Returns false with @errp set if devices could not be let at @mr.  What
     * was prepared is given up by the mapper itself if the RAM is not in the
     * guest's memory when the main loop runs again.
     */
    bool (*expect_ram)(SpaprDmaMapper *mapper, MemoryRegion *mr, Error **errp);

    /**
     * @locked: add what the host locks for this mapper; may be NULL: nothing
     *
     * @windows, of which there are @count, are those that it mirrors or would.
     * Returns whether KVM may have tables of them.  The mapper may not be
     * registered yet.
     */
    bool (*locked)(const SpaprDmaMapper *mapper,
                   const SpaprDmaGeometry *windows, unsigned count,
                   SpaprDmaLocked *locked);

    /**
     * @remedy: say what can be done about a limit of this mapper
     *
     * Returns a part of a message, to be freed, or NULL.  May be NULL.
     */
    char *(*remedy)(SpaprDmaMapper *mapper, SpaprDmaLimitReason reason);

    /**
     * @describe: say what this mapper is; may be NULL
     *
     * @info has the mapper's number and whether KVM can update it.
     */
    void (*describe)(SpaprDmaMapper *mapper, SpaprDmaContainerInfo *info);

    /**
     * @describe_window: say how @window is mirrored; may be NULL
     *
     * @info has the mapper's number.
     */
    void (*describe_window)(SpaprDmaMapper *mapper,
                            const SpaprDmaWindow *window,
                            SpaprDmaHostWindowInfo *info);
} SpaprDmaMapperOps;

/**
 * SpaprDmaMapper: base of somebody who mirrors windows
 * @ops: what it can do
 * @sees_all: KVM must not handle hypercalls for windows of this space, since it
 *            cannot update the copy; see spapr_dma_mapper_set_sees_all()
 * @home: whose windows it is for
 * @space: the same while it is registered, else NULL
 * @id: counts the mappers that the space has had, from 0
 *
 * All fields belong to spapr_dma_mapper.c.
 */
struct SpaprDmaMapper {
    const SpaprDmaMapperOps *ops;
    bool sees_all;
    SpaprDmaSpace *home;
    SpaprDmaSpace *space;
    uint32_t id;
    QLIST_ENTRY(SpaprDmaMapper) next;
};

/**
 * spapr_dma_space_find: the windows that may appear in an address space
 * @as: any address space
 *
 * Returns NULL if none can.
 */
SpaprDmaSpace *spapr_dma_space_find(const AddressSpace *as);

/**
 * spapr_dma_mapper_init: say what a mapper is going to do
 * @mapper: not registered
 * @ops: what it can do
 * @space: whose windows
 */
void spapr_dma_mapper_init(SpaprDmaMapper *mapper,
                           const SpaprDmaMapperOps *ops, SpaprDmaSpace *space);

/**
 * spapr_dma_mapper_register: mirror the windows of a space
 * @mapper: initialized and not registered
 * @errp: set to its reason if it cannot mirror what is there
 *
 * Each enabled window is added and its populated runs are replayed; windows
 * that are enabled later ask first.  The mapper sees all until it says
 * otherwise, so hypercalls of these windows come to QEMU.  Returns false, with
 * nothing left in the mapper, if it refuses a window or a run.
 */
bool spapr_dma_mapper_register(SpaprDmaMapper *mapper, Error **errp);

/**
 * spapr_dma_mapper_unregister: stop mirroring
 * @mapper: registered or not; if KVM updates its copy, then not any more
 */
void spapr_dma_mapper_unregister(SpaprDmaMapper *mapper);

/**
 * spapr_dma_mapper_set_sees_all: say whether KVM may handle hypercalls
 * @mapper: registered
 * @sees_all: false once KVM can update the copy when it is asked to
 *
 * Takes windows of the space out of KVM, or lets them in; KVM is asked to
 * connect all copies again.
 */
void spapr_dma_mapper_set_sees_all(SpaprDmaMapper *mapper, bool sees_all);

/**
 * spapr_dma_mapper_replay: map all populated runs of a window once more
 * @mapper: registered
 * @window: an enabled window of its space
 * @errp: set to what could not be mapped
 *
 * For a mapper that lost its copy, as a VFIO container does when a group
 * leaves it (Linux 6.12 and later clear every TCE then).  Guests that store
 * TCEs through KVM at the same time wait.
 */
bool spapr_dma_mapper_replay(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             Error **errp);

/**
 * spapr_dma_mapper_renew: follow a change of what TCEs lead to
 * @mapper: registered or not
 * @as: address space that has changed
 * @addr: where
 * @size: bytes, not 0
 *
 * TCEs that lead there are mapped anew as far as there is RAM.  The others
 * stay, since they are the guest's, but do not take effect in the mapper until
 * they are stored again.  Call it between spapr_dma_freeze() and
 * spapr_dma_thaw(), together with what makes RAM go, or a guest can map it once
 * more by KVM.
 */
void spapr_dma_mapper_renew(SpaprDmaMapper *mapper, const AddressSpace *as,
                            uint64_t addr, uint64_t size);

/**
 * spapr_dma_freeze: keep vCPUs out of KVM, so that it changes no window
 * @unused: may be anything, so that this can be an operation of somebody
 *
 * Until spapr_dma_thaw().  Waits for hypercalls in progress, does not release
 * the BQL, and may be nested.
 */
void spapr_dma_freeze(void *unused);
void spapr_dma_thaw(void *unused);

/**
 * spapr_dma_space_limit: lower limits to what all mappers can back
 * @space: whose mappers are asked
 * @limits: in: the owner's own limits; out: what is left of them
 */
void spapr_dma_space_limit(const SpaprDmaSpace *space, SpaprDmaLimits *limits);

/**
 * spapr_dma_limit_page_sizes: take page sizes away
 * @limits: what there is so far
 * @page_sizes: those that may stay, as in #SpaprDmaLimits
 * @reason: why no others
 */
void spapr_dma_limit_page_sizes(SpaprDmaLimits *limits, uint64_t page_sizes,
                                SpaprDmaLimitReason reason);

/**
 * spapr_dma_limit_max_size: lower the size of the largest window
 * @limits: what there is so far
 * @max_size: bytes; if it is not lower than that, nothing changes
 * @reason: why no more
 */
void spapr_dma_limit_max_size(SpaprDmaLimits *limits, uint64_t max_size,
                              SpaprDmaLimitReason reason);

/**
 * spapr_dma_limit_max_tces: lower the number of TCEs of the largest window
 * @limits: what there is so far
 * @max_tces: how many; if it is not lower than that, nothing changes
 * @reason: why no more
 */
void spapr_dma_limit_max_tces(SpaprDmaLimits *limits, uint64_t max_tces,
                              SpaprDmaLimitReason reason);

/**
 * spapr_dma_limit_windows: lower the number of windows
 * @limits: what there is so far
 * @windows: how many; if it is not lower than that, nothing changes
 * @reason: why no more
 */
void spapr_dma_limit_windows(SpaprDmaLimits *limits, unsigned windows,
                             SpaprDmaLimitReason reason);

/**
 * spapr_dma_space_cannot_start: which mapper cannot have a window there?
 * @space: whose mappers are asked
 * @bus_offset: first bus address of the window
 *
 * Returns NULL if all can.
 */
const SpaprDmaMapper *spapr_dma_space_cannot_start(const SpaprDmaSpace *space,
                                                   uint64_t bus_offset);

/**
 * spapr_dma_mappers_expect_ram: may this RAM become guest memory?
 * @mr: what is about to be plugged
 * @errp: set to the reason of the mapper that cannot have it
 *
 * To be asked right before plugging, while that can still be refused: windows
 * let guests map all of their memory, so every mapper must be able to.
 */
bool spapr_dma_mappers_expect_ram(MemoryRegion *mr, Error **errp);

#endif /* HW_PPC_SPAPR_DMA_MAPPER_H */
