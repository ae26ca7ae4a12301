/*
 * sPAPR DMA windows
 *
 * A window is a range of bus addresses of one DMA address space, cut into
 * pages of one size, each described by a TCE (translation control entry).
 * It is named by its LIOBN, which the guest passes with every hypercall.
 *
 * A window exists for the life of its owner (a PHB or a VIO device) and is
 * either disabled (no geometry, no table, nothing on the bus) or enabled.
 *
 * A mapper is somebody who keeps a copy of an address space's windows
 * elsewhere: one VFIO container is one mapper.  A mapper that is attached to
 * a window hears of *runs* (neighbouring entries with one permission and a
 * contiguous target) and may refuse them; the refusal reaches the guest as
 * the result of its hypercall.  Mappers are told directly instead of through
 * IOMMU notifiers because a notifier can neither refuse nor take a range
 * that is not a naturally aligned power of two.
 *
 * Everything here runs under the BQL, except translation, which runs in an
 * RCU read-side section.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_WINDOW_H
#define HW_PPC_SPAPR_DMA_WINDOW_H

#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "qom/object.h"

#define TYPE_SPAPR_DMA_WINDOW "spapr-tce-table"
OBJECT_DECLARE_SIMPLE_TYPE(SpaprDmaWindow, SPAPR_DMA_WINDOW)

#define TYPE_SPAPR_IOMMU_MEMORY_REGION "spapr-iommu-memory-region"

typedef struct SpaprDmaMapper SpaprDmaMapper;
typedef struct SpaprDmaTces SpaprDmaTces;
typedef struct SpaprTceTable SpaprTceTable;

/**
 * SpaprDmaGeometry: where a window lies and how it is cut
 * @bus_offset: first bus address, a multiple of the page size
 * @page_shift: log2 of the page size in bytes
 * @entries: number of pages; 0 means that the window is disabled
 */
typedef struct SpaprDmaGeometry {
    uint64_t bus_offset;
    uint32_t page_shift;
    uint64_t entries;
} SpaprDmaGeometry;

/**
 * SpaprDmaRun: neighbouring pages with one permission and contiguous target
 * @iova: first bus address
 * @gpa: guest physical address that @iova translates to
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
 * SpaprDmaLimits: what windows can still be created in an address space
 * @page_sizes: bit n set means pages of 2^n bytes
 * @max_size: bytes of the largest window
 * @max_tces: TCEs of the largest window, of whatever page size
 * @windows: how many at once, besides those that are enabled
 */
typedef struct SpaprDmaLimits {
    uint64_t page_sizes;
    uint64_t max_size;
    uint64_t max_tces;
    unsigned windows;
} SpaprDmaLimits;

/**
 * SpaprDmaMapperOps: what a mapper can do
 */
typedef struct SpaprDmaMapperOps {
    /**
     * @window_add: prepare to mirror @window, of which no entry is known yet
     *
     * The window has its geometry but may not be visible to anybody yet.
     * Returns false with @errp set, and nothing left behind, if this mapper
     * cannot back a window of this geometry.
     */
    bool (*window_add)(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                       Error **errp);

    /**
     * @window_del: drop @window with all that is mapped in it; cannot fail
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
} SpaprDmaMapperOps;

/**
 * SpaprDmaMapper: base of somebody who mirrors windows
 * @ops: set once, before spapr_dma_mapper_register()
 * @sees_all: set once, before registration; KVM must not handle hypercalls
 *            for a window that this mapper mirrors, since KVM cannot update
 *            the copy.  Such a window has no KVM table (its fd is -1) from
 *            before @window_add until the mapper is detached.  If false,
 *            @window_add tells KVM about the copy when the fd is not -1
 * @as: the address space whose windows it mirrors; owned by registration
 */
struct SpaprDmaMapper {
    const SpaprDmaMapperOps *ops;
    bool sees_all;
    AddressSpace *as;
    QLIST_ENTRY(SpaprDmaMapper) next;
};

struct SpaprDmaWindow {
    DeviceState parent_obj;

    uint32_t liobn;              /* set once, before realize */
    AddressSpace *as;            /* set once, before realize */
    struct SpaprVioDevice *vdev; /* set once; NULL on a PHB */
    bool bypass;                 /* VIO only: translation is switched off */
    bool def_win;                /* enabled as its PHB's default window */

    SpaprDmaGeometry geometry;   /* set while enabling, zero when disabled */
    uint64_t generation;         /* counts how often it was enabled */
    SpaprDmaTces *tces;          /* RCU; NULL when disabled */
    int fd;                      /* KVM's table, -1 if KVM does not know us */
    bool notified;               /* an IOMMU notifier wants every change */
    GPtrArray *mappers;          /* attached ones, in order of attachment */

    MemoryRegion root;           /* what the owner puts into its bus */
    IOMMUMemoryRegion iommu;     /* child of @root while enabled */

    bool sparse_migration;       /* property: do not care for QEMU 10.0 */
    /* What is in a migration stream; only while one is saved or loaded */
    uint32_t mig_entries;        /* of the dense form, 0 if not used */
    uint64_t mig_sparse_entries; /* of the sparse form, 0 if not used */
    uint64_t mig_bus_offset;
    uint32_t mig_page_shift;
    SpaprTceTable *mig_table;
};

/**
 * SpaprDmaKvm: what windows want of KVM
 * @present: is the machine run by KVM?
 * @updates_vfio: does KVM update the tables of VFIO along with its own?
 * @create_table: have KVM handle the hypercalls of a window that is being
 *                enabled.  Returns a mapping of the table, of one word per
 *                entry and all zero, and stores the table's file descriptor;
 *                or NULL if KVM makes none
 */
typedef struct SpaprDmaKvm {
    bool (*present)(void);
    bool (*updates_vfio)(void);
    uint64_t *(*create_table)(const SpaprDmaWindow *window, int *fd);
} SpaprDmaKvm;

/*
 * The accelerator's, unless a test that runs in this process put itself in its
 * place.
 */
extern const SpaprDmaKvm *spapr_dma_kvm;

/**
 * spapr_dma_window_new: make a disabled window
 * @owner: device whose QOM child it becomes
 * @liobn: its number, unique in the machine
 * @as: the address space that the window will appear in; mappers that are
 *      registered for it are asked when the window is enabled
 * @errp: set if @liobn is taken
 *
 * Returns the window, which lives as long as @owner, or NULL.
 */
SpaprDmaWindow *spapr_dma_window_new(DeviceState *owner, uint32_t liobn,
                                     AddressSpace *as, Error **errp);

/**
 * spapr_dma_window_find: look a window up by the number a guest passes
 * @liobn: 64-bit register value; the upper half must be zero (PAPR)
 *
 * Returns NULL if there is none; the window may be disabled.
 */
SpaprDmaWindow *spapr_dma_window_find(uint64_t liobn);

/**
 * spapr_dma_window_enable: give a disabled window its geometry and publish it
 * @window: a disabled window
 * @geometry: where and how large; with entries
 * @errp: says what is wrong with the geometry, or who refused it
 *
 * First the geometry is checked, then the table is made and every mapper of
 * the address space is attached, and only then the window becomes visible on
 * the bus.  If any step fails the earlier ones are undone in reverse, nothing
 * is left in any mapper, and false is returned.
 */
bool spapr_dma_window_enable(SpaprDmaWindow *window,
                             const SpaprDmaGeometry *geometry, Error **errp);

/**
 * spapr_dma_window_disable: take a window off the bus and drop its table
 * @window: enabled or not
 */
void spapr_dma_window_disable(SpaprDmaWindow *window);

/**
 * spapr_dma_window_clear: make every page of a window fault
 * @window: enabled or not
 */
void spapr_dma_window_clear(SpaprDmaWindow *window);

/**
 * spapr_dma_window_enabled: does the window exist on the bus?
 * @window: enabled or not
 */
static inline bool spapr_dma_window_enabled(const SpaprDmaWindow *window)
{
    return window->geometry.entries != 0;
}

/**
 * spapr_dma_window_size: bytes of bus address space that a window covers
 * @window: enabled or not; 0 is returned for one that is not
 */
static inline uint64_t spapr_dma_window_size(const SpaprDmaWindow *window)
{
    return window->geometry.entries << window->geometry.page_shift;
}

/**
 * spapr_dma_window_get_root: the region to put at address 0 of the bus
 * @window: enabled or not
 */
MemoryRegion *spapr_dma_window_get_root(SpaprDmaWindow *window);

/**
 * spapr_dma_window_from_region: the window behind an IOMMU memory region
 *
 * Returns NULL if @mr belongs to some other kind of IOMMU.
 */
SpaprDmaWindow *spapr_dma_window_from_region(MemoryRegion *mr);

/**
 * spapr_dma_window_put: store TCEs, mirroring them first
 * @window: an enabled window
 * @index: first entry; @index + @count must lie in the window
 * @tces: raw words, permission in the two low bits; those with permission
 *        must name guest RAM (see spapr_dma_window_tces_valid())
 * @count: how many
 *
 * Returns 0, or the negative errno of the mapper that refused; then neither
 * the table nor any mapper differs from before the call, except that a page
 * which cannot be mapped back either stays unmapped in that mapper.
 */
int spapr_dma_window_put(SpaprDmaWindow *window, uint64_t index,
                         const uint64_t *tces, uint64_t count);

/**
 * spapr_dma_window_stuff: store one TCE without permission many times
 * @window: an enabled window
 * @index: first entry; @index + @count must lie in the window
 * @tce: raw word whose two low bits are zero
 * @count: how many
 *
 * The cost is that of what was populated, or of every entry in a table that KVM
 * made.  Therefore only as many entries as PAPR lets one hypercall name (512)
 * keep the other bits of @tce; a longer range, and one in a table that takes as
 * much memory as it may, is filled with zeroes, which say the same.
 *
 * Returns how many entries are done, which is less than @count if that much
 * work would keep the BQL for too long; the caller goes on from there.
 */
uint64_t spapr_dma_window_stuff(SpaprDmaWindow *window, uint64_t index,
                                uint64_t tce, uint64_t count);

/**
 * spapr_dma_window_tces_valid: may these words be stored?
 * @window: an enabled window
 * @tces: raw words
 * @count: how many
 *
 * A word without permission always may, since PAPR has all other bits of it
 * ignored; one with permission must name guest RAM for the whole page.
 */
bool spapr_dma_window_tces_valid(const SpaprDmaWindow *window,
                                 const uint64_t *tces, uint64_t count);

/**
 * spapr_dma_ram_valid: is this range guest RAM from end to end?
 * @gpa: guest physical address
 * @size: bytes; the range does not wrap
 */
bool spapr_dma_ram_valid(uint64_t gpa, uint64_t size);

/**
 * spapr_dma_mapper_register: offer to mirror the windows of an address space
 * @mapper: with its ops set
 * @as: the address space
 *
 * From now on a window of @as that is being enabled asks @mapper.  Windows
 * that are enabled already are left to spapr_dma_window_attach(), which the
 * memory listener of the mapper calls when it is shown them.
 */
void spapr_dma_mapper_register(SpaprDmaMapper *mapper, AddressSpace *as);

/**
 * spapr_dma_mapper_unregister: stop mirroring
 * @mapper: registered or not; detached here from all that it still mirrors
 */
void spapr_dma_mapper_unregister(SpaprDmaMapper *mapper);

/**
 * spapr_dma_mappers_limit: lower limits to what all mappers can back
 * @as: the address space whose mappers are asked
 * @limits: in: the owner's own limits; out: what is left of them
 */
void spapr_dma_mappers_limit(const AddressSpace *as, SpaprDmaLimits *limits);

/**
 * spapr_dma_mappers_can_start: can all mappers have a window there?
 * @as: the address space whose mappers are asked
 * @bus_offset: first bus address of the window
 */
bool spapr_dma_mappers_can_start(const AddressSpace *as, uint64_t bus_offset);

/**
 * spapr_dma_mappers_expect_ram: may this RAM become guest memory?
 * @mr: what is about to be plugged
 * @errp: set to the reason of the mapper that cannot have it
 *
 * To be asked right before plugging, while that can still be refused: windows
 * let guests map all of their memory, so every mapper must be able to.
 */
bool spapr_dma_mappers_expect_ram(MemoryRegion *mr, Error **errp);

/**
 * spapr_dma_window_attach: let a mapper mirror an enabled window
 * @window: an enabled window
 * @mapper: who
 * @errp: set to the reason of the mapper
 *
 * Adds the window to the mapper and replays its populated runs.  Attaching
 * a second time does nothing and succeeds.  Returns false, with nothing left
 * in the mapper, if it refuses the window or a run.
 */
bool spapr_dma_window_attach(SpaprDmaWindow *window, SpaprDmaMapper *mapper,
                             Error **errp);

/**
 * spapr_dma_window_detach: end that
 * @window: an enabled window
 * @mapper: who; nothing is done if it is not attached
 */
void spapr_dma_window_detach(SpaprDmaWindow *window, SpaprDmaMapper *mapper);

/**
 * spapr_dma_window_replay: map all populated runs once more
 * @window: an enabled window
 * @mapper: attached to it
 * @errp: set to what could not be mapped
 *
 * For a mapper that lost its copy, as a VFIO container does when a group
 * leaves it (Linux 6.12 and later clear every TCE then).  Guests that store
 * TCEs through KVM at the same time wait.
 */
bool spapr_dma_window_replay(SpaprDmaWindow *window, SpaprDmaMapper *mapper,
                             Error **errp);

/**
 * spapr_dma_window_unmap_ram: have a mapper forget what translates to some RAM
 * @window: an enabled window
 * @mapper: attached to it
 * @gpa: guest physical address of RAM that is about to vanish
 * @size: bytes of it, not 0
 *
 * The TCEs stay, since they are the guest's, but do not take effect in the
 * mapper until they are stored again.
 */
void spapr_dma_window_unmap_ram(SpaprDmaWindow *window,
                                SpaprDmaMapper *mapper, uint64_t gpa,
                                uint64_t size);

/**
 * spapr_dma_dt: describe a window in the device tree
 * @fdt: the tree
 * @node_off: node that gets the property and the two cell counts
 * @propname: "ibm,dma-window" or "ibm,my-dma-window"
 * @liobn: number of the window
 * @bus_offset: first bus address
 * @size: bytes
 *
 * Returns 0 or a negative libfdt error.
 */
int spapr_dma_dt(void *fdt, int node_off, const char *propname,
                 uint32_t liobn, uint64_t bus_offset, uint64_t size);

#endif /* HW_PPC_SPAPR_DMA_WINDOW_H */
