/*
 * sPAPR DMA windows with devices of the host: what there is to see of them
 *
 * What query-spapr-dma answers about containers, about windows that are
 * mirrored in them, and about hosts that limit what a guest is offered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "spapr-vfio-common.h"

#define RAM 0x4000000

static void assert_owner(VfioTest *v, const char *path, const char *json)
{
    QDict *owner = spapr_view_owner(v->t, 0);

    spapr_assert_json(owner, path, "%s", json);
    qobject_unref(owner);
}

static void assert_window(VfioTest *v, uint32_t liobn, const char *path,
                          const char *json)
{
    QDict *window = spapr_view_window(v->t, liobn);

    spapr_assert_json(window, path, "%s", json);
    qobject_unref(window);
}

static void assert_maps(VfioTest *v, uint32_t liobn, const char *json)
{
    QDict *window = spapr_view_window(v->t, liobn);
    QDict *counters = qdict_get_qdict(window, "counters");

    qdict_del(counters, "put");
    qdict_del(counters, "put-indirect");
    qdict_del(counters, "stuff");
    qdict_del(counters, "get");
    spapr_assert_json(counters, "", "{ %s }", json);
    qobject_unref(window);
}

/* A container, whose file descriptor can be any */
static void assert_container(VfioTest *v, const char *number, const char *json)
{
    g_autofree char *path = g_strdup_printf("containers.%s", number);
    QDict *owner = spapr_view_owner(v->t, 0);
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(owner, "containers"), entry) {
        QDict *container = qobject_to(QDict, qlist_entry_obj(entry));
        QDict *vfio = qdict_get_qdict(container, "vfio");

        g_assert_cmpint(qdict_get_int(vfio, "fd"), >, 2);
        qdict_del(vfio, "fd");
    }
    spapr_assert_json(owner, path, "%s", json);
    qobject_unref(owner);
}

#define REGISTERED  "'registration': { 'ranges': 1, 'bytes': 268435456 }"

/* A container and what it has of each window */
static void test_container(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv\n" ONE, NULL, VFIO1);

    assert_container(v, "0", "{ 'id': 0, 'kind': 'vfio-v2',"
                     " 'kvm-updates': true, 'vfio': { 'groups': [ 1 ],"
                     " 'page-sizes': [ 4096, 65536, 2097152, 16777216,"
                     "                 1073741824 ],"
                     " 'max-windows': 2, 'max-levels': 5, 'bus-ram': 0,"
                     " 'maps-refused': 0, 'locked': 272637952, "
                     REGISTERED " } }");
    assert_window(v, LIOBN_DEFAULT, "containers",
                  "[ { 'container': 0, 'start': 0, 'size': 1073741824,"
                  "    'page-size': 4096, 'levels': 2 } ]");
    vfio_create(v, 16, 26, WINDOW_64);
    assert_window(v, LIOBN_64, "containers",
                  "[ { 'container': 0, 'start': 576460752303423488,"
                  "    'size': 67108864, 'page-size': 4096, 'levels': 1 } ]");
    assert_window(v, LIOBN_64, "handler", "'qemu-no-kvm'");
    /* 16 bytes for each of the 2^14 entries of the host */
    assert_owner(v, "containers.0.vfio.locked", "272900096");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_64), ==, RTAS_OK);
    assert_owner(v, "containers.0.vfio.locked", "272637952");
    vfio_quit(v);
}

/* What is mapped and unmapped counts, and so does what a device finds */
static void test_maps(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1);
    const uint64_t words[] = {
        0x4000000 | TCE_RW, 0x4001000 | TCE_RW, 0x5000000 | TCE_RO,
    };

    assert_maps(v, LIOBN_DEFAULT, "'maps': 0, 'mapped-pages': 0, 'unmaps': 0,"
                " 'unmapped-pages': 0, 'refused': 0");
    spapr_put_tce_indirect(v->t, LIOBN_DEFAULT, 0, words, 3);
    assert_maps(v, LIOBN_DEFAULT, "'maps': 2, 'mapped-pages': 3, 'unmaps': 0,"
                " 'unmapped-pages': 0, 'refused': 0");
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0, H_SUCCESS);
    assert_maps(v, LIOBN_DEFAULT, "'maps': 2, 'mapped-pages': 3, 'unmaps': 1,"
                " 'unmapped-pages': 1, 'refused': 0");
    /* Nothing is there to be unmapped */
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0, H_SUCCESS);
    assert_maps(v, LIOBN_DEFAULT, "'maps': 2, 'mapped-pages': 3, 'unmaps': 1,"
                " 'unmapped-pages': 1, 'refused': 0");
    /* A second container gets what there is, and then both get all */
    vfio_assert_plugged(v, PLUG(2));
    assert_maps(v, LIOBN_DEFAULT, "'maps': 3, 'mapped-pages': 5, 'unmaps': 1,"
                " 'unmapped-pages': 1, 'refused': 0");
    vfio_put(v, LIOBN_DEFAULT, 4 * PAGE, RAM | TCE_RW, H_SUCCESS);
    assert_maps(v, LIOBN_DEFAULT, "'maps': 5, 'mapped-pages': 7, 'unmaps': 1,"
                " 'unmapped-pages': 1, 'refused': 0");
    vfio_quit(v);
}

/* Who refused a hypercall, and what it said */
static void test_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_put(v, LIOBN_DEFAULT, PAGE, RAM | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=map,errno=ENOMEM,once");
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, RAM | TCE_RW,
             H_NOT_ENOUGH_RESOURCES);
    assert_window(v, LIOBN_DEFAULT, "last-refusal",
                  "{ 'reason': 'host', 'address': 8192, 'entries': 1,"
                  "  'container': 0, 'error': 'Cannot allocate memory' }");
    assert_maps(v, LIOBN_DEFAULT, "'maps': 1, 'mapped-pages': 1, 'unmaps': 1,"
                " 'unmapped-pages': 1, 'refused': 1");
    assert_window(v, LIOBN_DEFAULT, "populated", "1");
    assert_owner(v, "containers.0.vfio.maps-refused", "1");
    vfio_quit(v);
}

/* Numbers of containers are not used again */
static void test_plug(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", "");

    assert_owner(v, "containers", "[]");
    vfio_assert_plugged(v, PLUG(1));
    assert_owner(v, "containers.0.id", "0");
    vfio_assert_plugged(v, PLUG(2));
    assert_owner(v, "containers.0.vfio.groups", "[ 1 ]");
    assert_owner(v, "containers.1.id", "1");
    assert_owner(v, "containers.1.vfio.groups", "[ 2 ]");
    vfio_create(v, 12, 28, WINDOW_64);
    assert_window(v, LIOBN_64, "containers.0.container", "0");
    assert_window(v, LIOBN_64, "containers.1.container", "1");

    vfio_unplug(v, "vf1", 1);
    assert_owner(v, "containers.0.id", "1");
    assert_window(v, LIOBN_64, "containers",
                  "[ { 'container': 1, 'start': 576460752303423488,"
                  "    'size': 268435456, 'page-size': 4096,"
                  "    'levels': 2 } ]");
    vfio_assert_plugged(v, PLUG(1));
    assert_owner(v, "containers.1.id", "2");
    vfio_unplug(v, "vf1", 1);
    vfio_unplug(v, "vf2", 2);
    assert_owner(v, "containers", "[]");
    assert_window(v, LIOBN_64, "containers", "[]");
    vfio_quit(v);
}

/* Two groups share a container, in the order of their numbers */
static void test_groups(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1);
    g_autofree char *said = NULL;

    vfio_assert_plugged(v, PLUG(2));
    assert_owner(v, "containers.0.vfio.groups", "[ 1, 2 ]");
    said = qtest_hmp(v->t->qts, "info spapr-dma");
    g_assert_nonnull(strstr(said, "    groups: 1 2\r\n"));
    vfio_unplug(v, "vf1", 1);
    assert_owner(v, "containers.0.vfio.groups", "[ 2 ]");
    vfio_quit(v);
}

/* A host with one window, which no guest can have another of */
static void test_v1(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, VFIO1);

    assert_container(v, "0", "{ 'id': 0, 'kind': 'vfio-v1',"
                     " 'kvm-updates': false, 'vfio': { 'groups': [ 1 ],"
                     " 'page-sizes': [], 'max-windows': 1, 'max-levels': 1,"
                     " 'bus-ram': 0, 'maps-refused': 0,"
                     " 'locked': 2155872256 } }");
    assert_owner(v, "phb.offer", "{ 'windows': 0,"
                 " 'windows-limit': { 'reason': 'one-window',"
                 "                    'container': 0 },"
                 " 'max-tces': 32768,"
                 " 'max-tces-limit': { 'reason': 'one-window',"
                 "                     'container': 0 },"
                 " 'page-sizes': [ 4096, 65536 ], 'missing-page-sizes': ["
                 " { 'page-size': 2097152, 'reason': 'one-window',"
                 "   'container': 0 },"
                 " { 'page-size': 16777216, 'reason': 'one-window',"
                 "   'container': 0 } ] }");
    vfio_quit(v);
}

/* What a host that makes windows keeps a guest from */
static void test_limits(void)
{
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), LIMITED ONE, NULL,
                                  VFIO1);

    assert_owner(v, "phb.offer.max-tces", "1073741824");
    assert_owner(v, "phb.offer.max-tces-limit",
                 "{ 'reason': 'host-table', 'container': 0 }");
    vfio_quit(v);

    v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    assert_owner(v, "phb.offer.max-tces", "262144");
    assert_owner(v, "phb.offer.max-tces-limit",
                 "{ 'reason': 'guest-memory', 'container': 0 }");
    assert_owner(v, "phb.limited-offered", "false");
    assert_owner(v, "phb.limited-limit",
                 "{ 'reason': 'place', 'container': 0 }");
    vfio_quit(v);

    v = vfio_boot("host flavour=powernv windows=1\n" ONE, NULL, VFIO1);
    assert_owner(v, "phb.offer.windows", "0");
    assert_owner(v, "phb.offer.windows-limit",
                 "{ 'reason': 'host-windows', 'container': 0 }");
    vfio_quit(v);

    v = vfio_boot(POWERNV ONE, NULL, "-global spapr-pci-host-bridge."
                  "dma64_win_addr=0x400000000000000 " VFIO1);
    assert_owner(v, "phb.offer.windows", "0");
    assert_owner(v, "phb.offer.windows-limit",
                 "{ 'reason': 'place', 'container': 0 }");
    vfio_quit(v);
}

/* Which page sizes there are not, and whose they are */
static void test_page_sizes(void)
{
    VfioHugeRam ram = vfio_huge_ram_new("-global spapr-pci-host-bridge."
                                        "pgsz=0x1011000 ");
    VfioTest *v = vfio_boot("host flavour=powernv pagesizes=4K,64K\n" ONE,
                            NULL, VFIO1);

    assert_owner(v, "phb.offer.missing-page-sizes", "[]");
    assert_owner(v, "containers.0.vfio.page-sizes", "[ 4096, 65536 ]");
    vfio_quit(v);

    /* No page of 4 KiB, so the default window has to be gone before */
    v = vfio_boot_pages(4096, "host flavour=powernv pagesizes=64K,2M\n" ONE,
                        ram.options);
    vfio_create(v, 24, 30, WINDOW_64);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_plugged(v, PLUG(1));
    assert_owner(v, "phb.offer.page-sizes", "[ 65536, 16777216 ]");
    assert_owner(v, "phb.offer.missing-page-sizes",
                 "[ { 'page-size': 4096, 'reason': 'host-page-sizes',"
                 "    'container': 0 } ]");
    assert_window(v, LIOBN_64, "page-size", "16777216");
    assert_window(v, LIOBN_64, "containers.0.page-size", "2097152");
    vfio_quit(v);
    vfio_huge_ram_free(&ram);
}

/* Locked memory is what is left of a limit, if there is one */
static void test_locked_memory(void)
{
    const char *wrapper = vfio_unprivileged();
    VfioTest *v = vfio_boot_under(wrapper,
                                  "host flavour=powernv memlock=320M\n" ONE,
                                  NULL, VFIO1);

    assert_owner(v, "phb.offer.max-tces", "512");
    assert_owner(v, "phb.offer.max-tces-limit",
                 "{ 'reason': 'locked-memory', 'container': 0 }");
    assert_owner(v, "containers.0.vfio.lockable", "62906368");
    vfio_quit(v);

    v = vfio_boot_under(wrapper, "host flavour=p7 memlock=3G\n" ONE, NULL,
                        VFIO1);
    assert_owner(v, "containers.0.vfio.lockable", "1065353216");
    vfio_quit(v);

    v = vfio_boot_under(wrapper, "host flavour=powernv memlock=266272K\n" ONE,
                        NULL, VFIO1);
    assert_owner(v, "phb.offer.windows", "0");
    assert_owner(v, "phb.offer.windows-limit",
                 "{ 'reason': 'locked-memory', 'container': 0 }");
    vfio_quit(v);
}

/* RAM that is plugged in is registered in a piece of its own */
static void test_registration(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL,
                            VFIO1 "-m 256M,slots=1,maxmem=1G ");

    assert_owner(v, "containers.0.vfio.registration",
                 "{ 'ranges': 1, 'bytes': 268435456 }");
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': 'memory-backend-ram',"
                             " 'id': 'ram1', 'size': 268435456 } }");
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'dimm1',"
                        " 'memdev': 'ram1'}");
    assert_owner(v, "containers.0.vfio.registration",
                 "{ 'ranges': 2, 'bytes': 536870912 }");
    vfio_quit(v);
}

/* Who follows the bus by IOMMU notifiers shows with each window */
static void test_notifiers(void)
{
    VfioTest *v = vfio_boot("host flavour=type1 page=4K\n" ONE, NULL, VFIO1
                            "-global spapr-pci-host-bridge."
                            "dma64_win_addr=0x100000000 ");

    assert_owner(v, "containers", "[]");
    assert_window(v, LIOBN_DEFAULT, "notifiers", "1");
    vfio_unplug(v, "vf1", 1);
    assert_window(v, LIOBN_DEFAULT, "notifiers", "0");
    vfio_quit(v);
}

/*
 * Meanwhile no window of the bus is with KVM, which tells no notifier, and
 * afterwards each is again.
 */
static void test_notifiers_and_kvm(void)
{
    VfioTest *v = vfio_boot("host flavour=type1 page=4K\n" ONE, NULL, KVM
                            "-global spapr-pci-host-bridge."
                            "dma64_win_addr=0x100000000 ");
    const uint32_t liobns[] = { LIOBN_DEFAULT, LIOBN_64 };

    vfio_create(v, 12, 28, WINDOW_LIMITED);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned n = 0; n < ARRAY_SIZE(liobns); n++) {
            assert_window(v, liobns[n], "handler",
                          i & 1 ? "'qemu-notifiers'" : "'kvm'");
        }
        if (i & 1) {
            vfio_unplug(v, "vf1", 1);
        } else {
            vfio_assert_plugged(v, PLUG(1));
        }
    }
    vfio_quit(v);
}

static void test_hmp(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv\n" ONE, NULL, VFIO1);
    g_autofree char *said = NULL;

    vfio_fault(v, "ioctl=map,errno=ENOMEM,once");
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, RAM | TCE_RW,
             H_NOT_ENOUGH_RESOURCES);
    said = qtest_hmp(v->t->qts, "info spapr-dma");
    g_assert_nonnull(strstr(said,
        "    handler: qemu-no-kvm, 0 notifiers\r\n"
        "    in container 0: pages of 4 KiB, 2 levels\r\n"
        "    hypercalls: put 1, put-indirect 0, stuff 0, get 0\r\n"
        "    containers: 0 maps of 0 pages, 1 unmaps of 1 pages\r\n"
        "    refused: 1, the last at 0x2000 of 1 entries\r\n"
        "      reason: host, container 0: Cannot allocate memory\r\n"
        "  container 0, vfio-v2: can be updated by KVM\r\n"
        "    groups: 1\r\n"
        "    host: 2 windows, 5 levels, pages of 4 KiB, 64 KiB, 2 MiB,"
        " 16 MiB, 1 GiB\r\n"
        "    registered: 1 ranges of 256 MiB\r\n"
        "    locked: 260 MiB\r\n"
        "    RAM on the bus: 0, maps refused: 1\r\n"));
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/view/container", test_container);
    qtest_add_func("spapr-vfio/view/maps", test_maps);
    qtest_add_func("spapr-vfio/view/refused", test_refused);
    qtest_add_func("spapr-vfio/view/plug", test_plug);
    qtest_add_func("spapr-vfio/view/groups", test_groups);
    qtest_add_func("spapr-vfio/view/v1", test_v1);
    qtest_add_func("spapr-vfio/view/limits", test_limits);
    qtest_add_func("spapr-vfio/view/page-sizes", test_page_sizes);
    qtest_add_func("spapr-vfio/view/locked-memory", test_locked_memory);
    qtest_add_func("spapr-vfio/view/registration", test_registration);
    qtest_add_func("spapr-vfio/view/notifiers", test_notifiers);
    qtest_add_func("spapr-vfio/view/notifiers-and-kvm",
                   test_notifiers_and_kvm);
    qtest_add_func("spapr-vfio/view/hmp", test_hmp);
    return g_test_run();
}
