/*
 * sPAPR DMA windows: HMP command
 *
 * "info spapr-dma" is what query-spapr-dma answers, for people: one owner after
 * the other, each with its offer, its windows and its containers, in lines that
 * fit in 80 columns.  Names of enumerations are those of QMP.
 *
 * Nothing can fail.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-spapr-dma.h"
#include "qemu/cutils.h"

static void print_size(Monitor *mon, uint64_t bytes)
{
    g_autofree char *text = size_to_str(bytes);

    monitor_puts(mon, text);
}

static void print_sizes(Monitor *mon, const sizeList *sizes)
{
    const char *between = "";

    for (; sizes; sizes = sizes->next) {
        monitor_puts(mon, between);
        print_size(mon, sizes->value);
        between = ", ";
    }
    monitor_puts(mon, *between ? "\n" : "none\n");
}

/* Ends the line */
static void print_limit(Monitor *mon, const SpaprDmaLimitInfo *limit)
{
    monitor_printf(mon, "%s", SpaprDmaLimitReason_str(limit->reason));
    if (limit->has_container) {
        monitor_printf(mon, " of container %u", limit->container);
    }
    monitor_puts(mon, "\n");
}

static void print_offer(Monitor *mon, const SpaprDmaOfferInfo *offer)
{
    const SpaprDmaMissingPageSizeList *missing;

    monitor_printf(mon, "    %u more, limit: ", offer->windows);
    print_limit(mon, offer->windows_limit);
    monitor_printf(mon, "    %" PRIu64 " TCEs, limit: ", offer->max_tces);
    print_limit(mon, offer->max_tces_limit);
    monitor_puts(mon, "    pages of ");
    print_sizes(mon, offer->page_sizes);
    for (missing = offer->missing_page_sizes; missing;
         missing = missing->next) {
        monitor_puts(mon, "    not of ");
        print_size(mon, missing->value->page_size);
        monitor_puts(mon, ": ");
        print_limit(mon, qapi_SpaprDmaMissingPageSize_base(missing->value));
    }
}

static void print_phb(Monitor *mon, const SpaprDmaPhbInfo *phb)
{
    monitor_printf(mon, "  mode: %s\n", SpaprDmaMode_str(phb->mode));
    monitor_puts(mon, "  limited mode: ");
    if (phb->limited_offered) {
        monitor_puts(mon, "offered\n");
    } else {
        monitor_puts(mon, "not offered, ");
        print_limit(mon, phb->limited_limit);
    }
    monitor_puts(mon, "  windows on offer:\n");
    print_offer(mon, phb->offer);
}

static void print_mirror(Monitor *mon, const SpaprDmaHostWindowInfo *mirror)
{
    monitor_printf(mon, "    in container %u", mirror->container);
    if (mirror->has_page_size) {
        monitor_puts(mon, ": pages of ");
        print_size(mon, mirror->page_size);
        monitor_printf(mon, ", %u levels", mirror->levels);
    }
    monitor_puts(mon, "\n");
}

static void print_counters(Monitor *mon, const SpaprDmaCountersInfo *counters)
{
    monitor_printf(mon, "    hypercalls: put %" PRIu64 ", put-indirect %" PRIu64
                   ", stuff %" PRIu64 ", get %" PRIu64 "\n", counters->put,
                   counters->put_indirect, counters->stuff, counters->get);
    monitor_printf(mon, "    containers: %" PRIu64 " maps of %" PRIu64
                   " pages, %" PRIu64 " unmaps of %" PRIu64 " pages\n",
                   counters->maps, counters->mapped_pages, counters->unmaps,
                   counters->unmapped_pages);
}

static void print_refusal(Monitor *mon, uint64_t count,
                          const SpaprDmaRefusalInfo *last)
{
    monitor_printf(mon, "    refused: %" PRIu64, count);
    if (last) {
        monitor_printf(mon, ", the last at 0x%" PRIx64 " of %" PRIu64
                       " entries\n      reason: %s", last->address,
                       last->entries, SpaprDmaRefusalReason_str(last->reason));
    }
    if (last && last->has_container) {
        monitor_printf(mon, ", container %u: %s", last->container,
                       last->error);
    }
    monitor_puts(mon, "\n");
}

static void print_window(Monitor *mon, const SpaprDmaWindowInfo *window)
{
    const SpaprDmaHostWindowInfoList *mirror;

    monitor_printf(mon, "  window 0x%08x, %s: 0x%" PRIx64 " to 0x%" PRIx64 "\n",
                   window->liobn, SpaprDmaWindowKind_str(window->kind),
                   window->first, window->last);
    monitor_printf(mon, "    %" PRIu64 " pages of ", window->entries);
    print_size(mon, window->page_size);
    if (window->has_populated) {
        monitor_printf(mon, ", %" PRIu64 " populated", window->populated);
    }
    monitor_puts(mon, ", table of ");
    print_size(mon, window->table_bytes);
    monitor_printf(mon, "\n    handler: %s, %u notifiers\n",
                   SpaprDmaHandler_str(window->handler), window->notifiers);
    for (mirror = window->containers; mirror; mirror = mirror->next) {
        print_mirror(mon, mirror->value);
    }
    print_counters(mon, window->counters);
    print_refusal(mon, window->counters->refused, window->last_refusal);
}

static void print_vfio(Monitor *mon, const SpaprDmaVfioInfo *vfio)
{
    const intList *group;

    monitor_puts(mon, "    groups:");
    for (group = vfio->groups; group; group = group->next) {
        monitor_printf(mon, " %" PRId64, group->value);
    }
    monitor_printf(mon, "\n    host: %u windows, %u levels, pages of ",
                   vfio->max_windows, vfio->max_levels);
    print_sizes(mon, vfio->page_sizes);
    if (vfio->registration) {
        monitor_printf(mon, "    registered: %" PRIu64 " ranges of ",
                       vfio->registration->ranges);
        print_size(mon, vfio->registration->bytes);
        monitor_puts(mon, "\n");
    }
    monitor_puts(mon, "    locked: ");
    print_size(mon, vfio->locked);
    if (vfio->has_lockable) {
        monitor_puts(mon, ", at most ");
        print_size(mon, vfio->lockable);
        monitor_puts(mon, " more");
    }
    monitor_printf(mon, "\n    RAM on the bus: %u, maps refused: %" PRIu64
                   "\n", vfio->bus_ram, vfio->maps_refused);
}

static void print_container(Monitor *mon, const SpaprDmaContainerInfo *info)
{
    monitor_printf(mon, "  container %u, %s: %s by KVM\n", info->id,
                   SpaprDmaContainerKind_str(info->kind),
                   info->kvm_updates ? "can be updated" : "not updated");
    if (info->vfio) {
        print_vfio(mon, info->vfio);
    }
}

static void print_owner(Monitor *mon, const SpaprDmaOwnerInfo *owner)
{
    const SpaprDmaWindowInfoList *window;
    const SpaprDmaContainerInfoList *container;

    monitor_printf(mon, "%s\n", owner->name);
    if (owner->phb) {
        print_phb(mon, owner->phb);
    }
    for (window = owner->windows; window; window = window->next) {
        print_window(mon, window->value);
    }
    for (container = owner->containers; container;
         container = container->next) {
        print_container(mon, container->value);
    }
}

static void print_locked(Monitor *mon, const SpaprDmaLockedInfo *locked)
{
    monitor_printf(mon, "must be lockable: %" PRIu64 " bytes, RAM ",
                   locked->sum);
    print_size(mon, locked->ram);
    monitor_puts(mon, ", tables of the host ");
    print_size(mon, locked->host_tables);
    monitor_puts(mon, ", of KVM ");
    print_size(mon, locked->kvm_tables);
    monitor_puts(mon, "\n");
}

void hmp_info_spapr_dma(Monitor *mon, const QDict *qdict)
{
    g_autoptr(SpaprDmaInfo) info = qmp_query_spapr_dma(false, false, NULL);
    const SpaprDmaOwnerInfoList *owner;

    if (!info->owners) {
        monitor_puts(mon, "This machine has no sPAPR DMA windows.\n");
        return;
    }
    monitor_puts(mon, "memory of TCEs: ");
    print_size(mon, info->table_bytes);
    monitor_puts(mon, " of ");
    print_size(mon, info->max_table_bytes);
    monitor_puts(mon, "\n");
    if (info->locked_memory) {
        print_locked(mon, info->locked_memory);
    }
    for (owner = info->owners; owner; owner = owner->next) {
        print_owner(mon, owner->value);
    }
}
