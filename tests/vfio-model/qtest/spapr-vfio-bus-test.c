/*
 * DMA windows with devices of a host in surroundings that no pseries machine
 * has: RAM on the bus, windows that lead elsewhere than to the guest's memory,
 * a second IOMMU behind them
 *
 * tests/aids/spapr-dma-test-aid.c makes them.  Its RAM is in files, m1 and m2
 * of 1 MiB each, so a test sees what a device has written there.
 *
 * Words: a *space* is where the TCEs of one window lead; space s1 is that of
 * the 64-bit window, the default window leads to the guest's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr-vfio-common.h"

#define FILE_SIZE       (1 * MiB)

#define FILES           "-object memory-backend-file,id=m1,size=1M,share=on," \
                        "mem-path=%s/m1 " \
                        "-object memory-backend-file,id=m2,size=1M,share=on," \
                        "mem-path=%s/m2 "

#define REGION(id, options) "-device spapr-dma-test-region,id=" id \
                            ",size=1M," options " "

/* The 64-bit window leads to RAM of its own, which is m1 */
#define SPACE           "-device spapr-dma-test-space,id=s1,liobn=0x80000001 "
#define DEFAULT_SPACE   "-device spapr-dma-test-space,id=s1,liobn=0x80000000 "
#define OWN_RAM         SPACE REGION("r1", "space=s1,memdev=m1")

/* Behind its space at LAYER there is another, where m2 begins at 1 MiB */
#define LAYER           (1 * GiB)
#define LAYER_RAM       (LAYER + FILE_SIZE)
#define SECOND          OWN_RAM "-device spapr-dma-test-space,id=s2 " \
                        REGION("r2", "space=s2,addr=0x100000,memdev=m2") \
                        "-device spapr-dma-test-region,id=layer,space=s1," \
                        "to=s2,addr=0x40000000,size=16M "

/* RAM on the bus, in the default window or beyond all windows */
#define RAM_BUS         0x10000000ULL
#define BUS_RAM         REGION("ram", "addr=0x10000000,memdev=m1")
#define BUS_RAM_LATER   REGION("ram", "addr=0x10000000,memdev=m1,shown=off")
#define FAR_RAM_BUS     0x100000000000ULL
#define FAR_RAM         REGION("ram", "addr=0x100000000000,memdev=m1")

/* What the host has if m1 is mapped there */
#define DEFAULT_WITH_RAM    "[0+40000000/12:100]"

/* Pages of guest memory that nobody uses, and the bus address of another */
#define GUEST           0x4000000ULL
#define SINK_BUS        0x20000000ULL
#define SINK            0x8000000ULL

typedef struct BusTest {
    VfioTest *v;
    char *dir;
} BusTest;

/* ---- the machine ---- */

static BusTest *boot(const char *topology, const char *quirk,
                     const char *options)
{
    BusTest *b = g_new0(BusTest, 1);
    g_autofree char *all = NULL;

    b->dir = vfio_make_dir();
    all = g_strdup_printf(FILES "%s", b->dir, b->dir, options);
    b->v = vfio_boot(topology, quirk, all);
    return b;
}

static void quit(BusTest *b)
{
    vfio_quit(b->v);
    for (const char *name = "m1"; name; name = name[1] == '1' ? "m2" : NULL) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);

        g_assert_cmpint(unlink(path), ==, 0);
    }
    g_assert_cmpint(rmdir(b->dir), ==, 0);
    g_free(b->dir);
    g_free(b);
}

static void show(BusTest *b, const char *id, bool shown)
{
    vfio_show(b->v, id, shown);
}

/* Map pages in a row */
static void put(BusTest *b, uint32_t liobn, uint64_t bus, uint64_t target,
                unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        vfio_put(b->v, liobn, bus + i * PAGE, (target + i * PAGE) | TCE_RW,
                 H_SUCCESS);
    }
}

static void unput(BusTest *b, uint32_t liobn, uint64_t bus, unsigned pages)
{
    g_assert_cmpint(spapr_stuff_tce(b->v->t, liobn, bus, 0, pages), ==,
                    H_SUCCESS);
}

/* ---- what a device reaches ---- */

static int file_open(BusTest *b, const char *name)
{
    g_autofree char *path = g_build_filename(b->dir, name, NULL);
    int fd = open(path, O_RDWR);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A page arrives between the first of two pages on the bus and the second */
static void assert_file(BusTest *b, unsigned slot, uint64_t bus,
                        const char *name, uint64_t offset)
{
    int fd = file_open(b, name);
    uint8_t data[PAGE], found[PAGE] = { 0 };

    for (unsigned i = 0; i < PAGE; i++) {
        data[i] = i * 5 + slot + (bus >> 12);
    }
    g_assert_cmpint(pwrite(fd, data, PAGE, offset), ==, PAGE);
    g_assert_cmpint(pwrite(fd, found, PAGE, offset + PAGE), ==, PAGE);
    g_assert_cmpuint(vfio_dma_copy(b->v, slot, bus, bus + PAGE), ==,
                     RESULT_OK);
    g_assert_cmpint(pread(fd, found, PAGE, offset + PAGE), ==, PAGE);
    g_assert_cmpmem(data, PAGE, found, PAGE);
    close(fd);
}

static void assert_fault(BusTest *b, unsigned slot, uint64_t bus)
{
    g_assert_cmpuint(vfio_dma_copy(b->v, slot, bus, bus), ==,
                     RESULT_READ_FAULT);
}

/* ---- two windows, two targets ---- */

static void test_targets(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);
    unsigned calls = vfio_calls(b->v, "register");

    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    put(b, LIOBN_DEFAULT, 0, 0, 2);
    put(b, w.liobn, w.addr, 0, 2);
    vfio_assert_dma(b->v, 1, 0, 0);
    assert_file(b, 1, w.addr, "m1", 0);
    vfio_put(b->v, w.liobn, w.addr, FILE_SIZE | TCE_RW, H_PARAMETER);
    vfio_put(b->v, w.liobn, w.addr, GUEST | TCE_RW, H_PARAMETER);

    /* The window that is gone may come back, so its RAM stays */
    g_assert_cmpint(spapr_ddw_remove(b->v->t, w.liobn), ==, RTAS_OK);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    w = vfio_create(b->v, 12, 28, WINDOW_64);
    put(b, w.liobn, w.addr, PAGE, 2);
    assert_file(b, 1, w.addr, "m1", PAGE);
    g_assert_cmpuint(vfio_calls(b->v, "register"), ==, calls);

    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_plugged(b->v, PLUG(1));
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    assert_file(b, 1, w.addr, "m1", PAGE);
    quit(b);
}

/* All of the guest's memory is seen in both */
static void test_targets_share(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM
                      "-device spapr-dma-test-region,id=all,space=s1,"
                      "addr=0x10000000,size=256M,memdev=ppc_spapr.ram " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    put(b, w.liobn, w.addr, 0x10000000 + GUEST, 2);
    put(b, LIOBN_DEFAULT, 0, GUEST, 2);
    vfio_assert_dma(b->v, 1, w.addr, GUEST);

    /* What is left names it still; what is gone is reached no more */
    show(b, "all", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    assert_fault(b, 1, w.addr);
    vfio_assert_dma(b->v, 1, 0, GUEST);
    quit(b);
}

/*
 * A part of the guest's memory is seen in both, and another part comes: it is
 * registered in pieces, each once.
 */
static void test_targets_share_parts(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, DEFAULT_SPACE
                      "-device spapr-dma-test-region,id=low,space=s1,"
                      "addr=0,size=96M,memdev=ppc_spapr.ram,offset=0x2000000 "
                      "-device spapr-dma-test-region,id=high,space=s1,"
                      "addr=0x10000000,size=128M,memdev=ppc_spapr.ram,"
                      "offset=0x4000000,shown=off " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    put(b, LIOBN_DEFAULT, 0, GUEST - 0x2000000, 2);
    put(b, w.liobn, w.addr, GUEST, 2);
    vfio_assert_dma(b->v, 1, w.addr, GUEST);
    vfio_assert_dma(b->v, 1, 0, GUEST);

    show(b, "high", true);
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    show(b, "low", false);
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    assert_fault(b, 1, 0);
    put(b, LIOBN_DEFAULT, 0, 0x10000000, 2);
    vfio_assert_dma(b->v, 1, w.addr, GUEST);
    vfio_assert_dma(b->v, 1, 0, GUEST);

    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    quit(b);
}

/* The host takes the first piece only: nothing stays */
static void test_targets_share_refused(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, DEFAULT_SPACE
                      "-device spapr-dma-test-region,id=low,space=s1,"
                      "addr=0,size=96M,memdev=ppc_spapr.ram,offset=0x2000000 ");

    for (unsigned nth = 1; nth <= 3; nth++) {
        g_autofree char *rule = g_strdup_printf(
            "ioctl=register,nth=%u,errno=ENOMEM", nth);

        vfio_fault(b->v, rule);
        vfio_assert_not_plugged(b->v, PLUG(1), "refuses to register RAM"
                                " \"ppc_spapr.ram\"");
        vfio_no_fault(b->v);
        g_assert_cmpuint(vfio_regions(b->v), ==, 0);
        vfio_assert_host(b->v, "");
    }
    vfio_assert_plugged(b->v, PLUG(1));
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    quit(b);
}

static void test_targets_refused(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM);

    vfio_fault(b->v, "ioctl=register,nth=2,errno=ENOMEM");
    vfio_assert_not_plugged(b->v, PLUG(1), "refuses to register RAM");
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_host(b->v, "");
    vfio_assert_plugged(b->v, PLUG(1));
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    quit(b);
}

/*
 * RAM in the middle of other RAM, which is seen in two pieces then: it stays
 * registered and mapped, and TCEs lead to what lies there.
 */
static void test_targets_pieces(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM
                      "-device spapr-dma-test-region,id=middle,space=s1,"
                      "addr=0x10000,size=8K,memdev=m2,shown=off " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);
    unsigned calls = vfio_calls(b->v, "register");

    put(b, w.liobn, w.addr, 0, 64);
    for (unsigned i = 0; i < 2; i++) {
        vfio_assert_host(b->v, "[0+40000000/12:0"
                         " 800000000000000+10000000/12:40]");
        assert_file(b, 1, w.addr + 0xe000, "m1", 0xe000);
        assert_file(b, 1, w.addr + 0x10000, "m1", 0x10000);
        assert_file(b, 1, w.addr + 0x12000, "m1", 0x12000);

        show(b, "middle", true);
        g_assert_cmpuint(vfio_calls(b->v, "register"), ==, calls + i + 1);
        vfio_assert_host(b->v, "[0+40000000/12:0"
                         " 800000000000000+10000000/12:40]");
        assert_file(b, 1, w.addr + 0xe000, "m1", 0xe000);
        assert_file(b, 1, w.addr + 0x10000, "m2", 0);
        assert_file(b, 1, w.addr + 0x12000, "m1", 0x12000);
        show(b, "middle", false);
        g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    }
    quit(b);
}

static void assert_not_frozen(BusTest *b)
{
    QDict *answer = qtest_qmp(b->v->t->qts, "{'execute': 'qom-get',"
                              " 'arguments': { 'path': '/machine/peripheral/"
                              "kvm', 'property': 'frozen' } }");

    spapr_assert_json(answer, "return", "false");
    qobject_unref(answer);
}

/* KVM is held off while several pieces go at once, and let on afterwards */
static void test_targets_pieces_and_kvm(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, KVM OWN_RAM
                      "-device spapr-dma-test-region,id=middle,space=s1,"
                      "addr=0x10000,size=8K,memdev=m2,shown=off " VFIO1);

    assert_not_frozen(b);
    show(b, "middle", true);
    assert_not_frozen(b);
    show(b, "middle", false);
    assert_not_frozen(b);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    quit(b);
}

/* RAM on both sides of what is registered comes, and the host takes one */
static void test_targets_pieces_refused(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, SPACE
                      "-device spapr-dma-test-region,id=part,space=s1,addr=0,"
                      "size=256K,memdev=m1,offset=0x40000 "
                      REGION("all", "space=s1,addr=0x100000,memdev=m1,"
                             "shown=off") VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    put(b, w.liobn, w.addr, 0, 2);
    vfio_fault(b->v, "ioctl=register,nth=2,errno=ENOMEM");
    show(b, "all", true);
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_log_count(b->v, "refuses to register RAM"), ==, 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    show(b, "all", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    assert_file(b, 1, w.addr, "m1", 0x40000);
    show(b, "all", true);
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM + FILE_SIZE);
    put(b, w.liobn, w.addr + 2 * PAGE, FILE_SIZE + 0x3f000, 2);
    assert_file(b, 1, w.addr + 2 * PAGE, "m1", 0x3f000);
    quit(b);
}

/* The same around two parts: what the host took of the rest goes again */
static void test_targets_pieces_undone(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, SPACE
                      "-device spapr-dma-test-region,id=low,space=s1,addr=0,"
                      "size=256K,memdev=m1,offset=0x40000 "
                      "-device spapr-dma-test-region,id=high,space=s1,"
                      "addr=0x80000,size=256K,memdev=m1,offset=0xa0000 "
                      REGION("all", "space=s1,addr=0x100000,memdev=m1,"
                             "shown=off") VFIO1);

    vfio_fault(b->v, "ioctl=register,nth=3,errno=ENOMEM");
    show(b, "all", true);
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_log_count(b->v, "refuses to register RAM"), ==, 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM + FILE_SIZE / 2);
    quit(b);
}

/* ---- a second layer ---- */

static void test_layer(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, SECOND VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    put(b, w.liobn, w.addr, LAYER_RAM + PAGE, 2);
    put(b, w.liobn, w.addr + 2 * PAGE, 0, 2);
    put(b, w.liobn, w.addr + 4 * PAGE, LAYER_RAM + FILE_SIZE - 2 * PAGE, 2);
    assert_file(b, 1, w.addr, "m2", PAGE);
    assert_file(b, 1, w.addr + 2 * PAGE, "m1", 0);
    assert_file(b, 1, w.addr + 4 * PAGE, "m2", FILE_SIZE - 2 * PAGE);
    vfio_put(b->v, w.liobn, w.addr, LAYER | TCE_RW, H_PARAMETER);

    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_plugged(b->v, PLUG(1));
    assert_file(b, 1, w.addr, "m2", PAGE);
    quit(b);
}

/* It goes while it is mapped, be it the RAM or the way there */
static void test_layer_leaves(const void *id)
{
    BusTest *b = boot(POWERNV ONE, NULL, SECOND VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    for (unsigned i = 0; i < 2; i++) {
        put(b, w.liobn, w.addr, LAYER_RAM, 2);
        put(b, w.liobn, w.addr + 2 * PAGE, 0, 2);
        assert_file(b, 1, w.addr, "m2", 0);
        show(b, id, false);
        g_assert_cmpuint(vfio_regions(b->v), ==, 2);
        assert_fault(b, 1, w.addr);
        assert_file(b, 1, w.addr + 2 * PAGE, "m1", 0);
        spapr_assert_tce(b->v->t, w.liobn, w.addr, LAYER_RAM | TCE_RW);
        show(b, id, true);
        g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    }
    quit(b);
}

/* Of two ways to the same RAM one goes: what uses the other stays mapped */
static void test_layer_two_ways(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, SECOND
                      "-device spapr-dma-test-region,id=way,space=s1,to=s2,"
                      "addr=0x80000000,size=16M " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    put(b, w.liobn, w.addr, LAYER_RAM, 2);
    put(b, w.liobn, w.addr + 2 * PAGE, 0x80000000 + FILE_SIZE, 2);
    assert_file(b, 1, w.addr, "m2", 0);
    assert_file(b, 1, w.addr + 2 * PAGE, "m2", 0);
    show(b, "layer", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    assert_fault(b, 1, w.addr);
    assert_file(b, 1, w.addr + 2 * PAGE, "m2", 0);
    show(b, "way", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    assert_fault(b, 1, w.addr + 2 * PAGE);
    quit(b);
}

/* Of its RAM the host takes only some when it comes back: devices reach none */
static void test_layer_refused(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM
                      "-device spapr-dma-test-space,id=s2 "
                      "-device spapr-dma-test-region,id=r2,space=s2,addr=0,"
                      "size=512K,memdev=m2 "
                      "-device spapr-dma-test-region,id=r3,space=s2,"
                      "addr=0x100000,size=512K,memdev=m2,offset=0x80000 "
                      "-device spapr-dma-test-region,id=layer,space=s1,to=s2,"
                      "addr=0x40000000,size=16M " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    put(b, w.liobn, w.addr, LAYER, 2);
    put(b, w.liobn, w.addr + 2 * PAGE, LAYER_RAM, 2);
    assert_file(b, 1, w.addr, "m2", 0);
    show(b, "layer", false);
    vfio_fault(b->v, "ioctl=register,nth=2,errno=ENOMEM");
    show(b, "layer", true);
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_log_count(b->v, "refuses to register RAM"), ==, 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    assert_fault(b, 1, w.addr);
    assert_fault(b, 1, w.addr + 2 * PAGE);
    show(b, "layer", false);
    show(b, "layer", true);
    g_assert_cmpuint(vfio_regions(b->v), ==, 4);
    put(b, w.liobn, w.addr, LAYER, 2);
    assert_file(b, 1, w.addr, "m2", 0);
    quit(b);
}

/*
 * The host takes its RAM on the second of two ways only: that one stays when
 * the other goes.
 */
static void test_layer_refused_on_one_way(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, OWN_RAM
                      "-device spapr-dma-test-space,id=s2 "
                      REGION("r2", "space=s2,addr=0x100000,memdev=m2")
                      "-device spapr-dma-test-region,id=layer,space=s1,to=s2,"
                      "addr=0x40000000,size=16M,shown=off "
                      "-device spapr-dma-test-region,id=way,space=s1,to=s2,"
                      "addr=0x80000000,size=16M,shown=off " VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    vfio_fault(b->v, "ioctl=register,errno=ENOMEM");
    show(b, "layer", true);
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_log_count(b->v, "refuses to register RAM"), ==, 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    show(b, "way", true);
    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    put(b, w.liobn, w.addr, 0x80000000 + FILE_SIZE, 2);
    show(b, "layer", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    assert_file(b, 1, w.addr, "m2", 0);
    quit(b);
}

/* IOMMUs that lead in a circle lead nowhere */
#define RING    "-device spapr-dma-test-region,id=ring,size=1M," \
                "addr=0x80000000,"

static void test_layer_ring(const void *options)
{
    BusTest *b = boot(POWERNV ONE, NULL, options);

    vfio_assert_not_plugged(b->v, PLUG(1), "leads back to where it lies");
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_host(b->v, "");
    show(b, "ring", false);
    vfio_assert_plugged(b->v, PLUG(1));
    g_assert_cmpuint(vfio_log_count(b->v, ""), ==, 0);

    /* Too late to refuse it: the log has it, once */
    for (unsigned i = 0; i < 3; i++) {
        show(b, "ring", true);
        g_assert_cmpuint(vfio_regions(b->v), ==, 3);
        show(b, "ring", false);
        g_assert_cmpuint(vfio_regions(b->v), ==, 3);
        show(b, "layer", false);
        g_assert_cmpuint(vfio_regions(b->v), ==, 2);
        show(b, "layer", true);
        g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    }
    g_assert_cmpuint(vfio_log_count(b->v, "leads back to where it lies"), ==,
                     1);
    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    quit(b);
}

/* The third of them is far from the first, and closes the ring */
static void test_layer_ring_of_three(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, SECOND
                      "-device spapr-dma-test-space,id=s3 "
                      "-device spapr-dma-test-region,id=layer2,space=s2,to=s3,"
                      "addr=0x40000000,size=16M "
                      RING "space=s3,to=s1 ");

    vfio_assert_not_plugged(b->v, PLUG(1), "leads back to where it lies");
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_host(b->v, "");
    show(b, "ring", false);
    vfio_assert_plugged(b->v, PLUG(1));
    g_assert_cmpuint(vfio_regions(b->v), ==, 3);
    show(b, "ring", true);
    g_assert_cmpuint(vfio_log_count(b->v, "leads back to where it lies"), ==,
                     1);
    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    quit(b);
}

/* ---- RAM on the bus ---- */

/* Hosts without TCEs map it as they map all that lies on the bus */
static void test_ram_type1(void)
{
    BusTest *b = boot("host flavour=type1 page=4K\n" ONE, NULL,
                      REGION("ram", "addr=0x50000000,memdev=m1") VFIO1);

    g_assert_cmpuint(vfio_mappings(b->v), ==, 1);
    put(b, LIOBN_DEFAULT, 0, GUEST, 2);
    vfio_assert_dma(b->v, 1, 0, GUEST);
    assert_file(b, 1, 0x50000000, "m1", 0);
    show(b, "ram", false);
    assert_fault(b, 1, 0x50000000);
    vfio_assert_dma(b->v, 1, 0, GUEST);
    show(b, "ram", true);
    assert_file(b, 1, 0x50000000, "m1", 0);
    quit(b);
}

/*
 * RAM appears on a window and goes again: TCEs below it have no effect
 * meanwhile, whatever a guest does with them.
 */
static void assert_hides(BusTest *b)
{
    put(b, LIOBN_DEFAULT, RAM_BUS - 2 * PAGE, GUEST, 8);
    vfio_assert_dma(b->v, 1, RAM_BUS, GUEST + 2 * PAGE);
    show(b, "ram", true);
    vfio_assert_host(b->v, "[0+40000000/12:102]");
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_file(b, 1, RAM_BUS + FILE_SIZE - 2 * PAGE, "m1",
                FILE_SIZE - 2 * PAGE);
    vfio_assert_dma(b->v, 1, RAM_BUS - 2 * PAGE, GUEST);

    put(b, LIOBN_DEFAULT, RAM_BUS - 2 * PAGE, SINK, 6);
    unput(b, LIOBN_DEFAULT, RAM_BUS + 4 * PAGE, 2);
    vfio_assert_host(b->v, "[0+40000000/12:102]");
    for (unsigned i = 0; i < 6; i += 2) {
        assert_file(b, 1, RAM_BUS + i * PAGE, "m1", i * PAGE);
    }
    vfio_assert_dma(b->v, 1, RAM_BUS - 2 * PAGE, SINK);

    show(b, "ram", false);
    vfio_assert_host(b->v, "[0+40000000/12:6]");
    vfio_assert_dma(b->v, 1, RAM_BUS, SINK + 2 * PAGE);
    assert_fault(b, 1, RAM_BUS + 4 * PAGE);
    unput(b, LIOBN_DEFAULT, RAM_BUS - 2 * PAGE, 8);
    vfio_assert_host(b->v, JUST_DEFAULT);
}

/* What the view says is registered */
static void assert_registration(BusTest *b, unsigned ranges, uint64_t bytes)
{
    QDict *owner = spapr_view_owner(b->v->t, 0);

    spapr_assert_json(owner, "containers.0.vfio.registration",
                      "{ 'ranges': %u, 'bytes': %" PRIu64 " }", ranges, bytes);
    qobject_unref(owner);
}

static void test_ram(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM VFIO1);

    g_assert_cmpuint(vfio_regions(b->v), ==, 2);
    vfio_assert_host(b->v, DEFAULT_WITH_RAM);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_registration(b, 2, TEST_RAM + FILE_SIZE);
    show(b, "ram", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 1);
    assert_registration(b, 1, TEST_RAM);
    assert_fault(b, 1, RAM_BUS);
    vfio_assert_host(b->v, JUST_DEFAULT);
    quit(b);
}

static void test_ram_later(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM_LATER VFIO1);

    g_assert_cmpuint(vfio_regions(b->v), ==, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_hides(b);
        g_assert_cmpuint(vfio_regions(b->v), ==, 1);
    }
    quit(b);
}

/* The host has so many pages mapped */
static void assert_pages(BusTest *b, unsigned pages)
{
    g_autofree char *host = g_strdup_printf("[0+40000000/12:%x]", pages);

    vfio_assert_host(b->v, host);
}

/* Map 512 pages in a row by one call */
static void put_run(BusTest *b, uint64_t bus, uint64_t target)
{
    uint64_t tces[512];

    for (unsigned i = 0; i < ARRAY_SIZE(tces); i++) {
        tces[i] = (target + i * PAGE) | TCE_RW;
    }
    g_assert_cmpint(spapr_put_tce_indirect(b->v->t, LIOBN_DEFAULT, bus, tces,
                                           ARRAY_SIZE(tces)), ==, H_SUCCESS);
}

/*
 * A run begins before RAM on the bus and ends behind it: what lies below has no
 * effect, what lies on both sides has, and the same when it is cleared.  There
 * is other RAM on the bus, elsewhere.
 */
#define BEFORE  (RAM_BUS - 64 * PAGE)
#define BEHIND  (RAM_BUS + FILE_SIZE)

static void test_ram_in_a_run(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM
                      REGION("r2", "addr=0x18000000,memdev=m2,shown=off")
                      VFIO1);

    for (unsigned i = 0; i < 2; i++) {
        unsigned ram = (i + 1) * FILE_SIZE / PAGE;

        put_run(b, BEFORE, GUEST);
        vfio_assert_dma(b->v, 1, BEFORE, GUEST);
        vfio_assert_dma(b->v, 1, RAM_BUS - 2 * PAGE, GUEST + 62 * PAGE);
        assert_file(b, 1, RAM_BUS, "m1", 0);
        assert_file(b, 1, BEHIND - 2 * PAGE, "m1", FILE_SIZE - 2 * PAGE);
        vfio_assert_dma(b->v, 1, BEHIND, GUEST + 64 * PAGE + FILE_SIZE);
        assert_pages(b, ram + 512 - FILE_SIZE / PAGE);

        unput(b, LIOBN_DEFAULT, BEFORE, 512);
        assert_fault(b, 1, RAM_BUS - PAGE);
        assert_file(b, 1, RAM_BUS, "m1", 0);
        assert_file(b, 1, BEHIND - 2 * PAGE, "m1", FILE_SIZE - 2 * PAGE);
        assert_fault(b, 1, BEHIND);
        assert_pages(b, ram);
        if (!i) {
            show(b, "r2", true);
        }
    }

    put_run(b, BEFORE, GUEST);
    show(b, "ram", false);
    vfio_assert_dma(b->v, 1, RAM_BUS, GUEST + 64 * PAGE);
    quit(b);
}

/* RAM in one window hides TCEs though newer RAM lies in another */
static void test_ram_in_two_windows(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM
                      REGION("r2", "addr=0x800000000000000,memdev=m2,"
                             "shown=off") VFIO1);
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    show(b, "r2", true);
    put(b, LIOBN_DEFAULT, RAM_BUS, GUEST, 2);
    put(b, w.liobn, w.addr, GUEST, 2);
    vfio_assert_host(b->v, "[0+40000000/12:100"
                     " 800000000000000+10000000/12:100]");
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_file(b, 1, w.addr, "m2", 0);
    show(b, "ram", false);
    vfio_assert_dma(b->v, 1, RAM_BUS, GUEST);
    assert_file(b, 1, w.addr, "m2", 0);
    quit(b);
}

/* KVM knows nothing of RAM on the bus, so it updates nothing meanwhile */
static void assert_kvm_updates(BusTest *b, bool updates)
{
    QDict *owner = spapr_view_owner(b->v->t, 0);

    spapr_assert_json(owner, "containers.0.kvm-updates",
                      updates ? "true" : "false");
    qobject_unref(owner);
}

static void test_ram_and_kvm(void)
{
    BusTest *b = boot(POWERNV TWO, NULL, BUS_RAM_LATER VFIO1);

    for (unsigned i = 0; i < 2; i++) {
        assert_kvm_updates(b, true);
        show(b, "ram", true);
        assert_kvm_updates(b, false);
        vfio_assert_plugged(b->v, PLUG(2));
        assert_kvm_updates(b, false);
        vfio_unplug(b->v, "vf2", 2);
        assert_kvm_updates(b, false);
        show(b, "ram", false);
    }
    quit(b);
}

/* The device comes when there is RAM and what a guest stored below it */
static void test_ram_first(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM);

    put(b, LIOBN_DEFAULT, RAM_BUS, GUEST, 2);
    vfio_assert_plugged(b->v, PLUG(1));
    vfio_assert_host(b->v, DEFAULT_WITH_RAM);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_plugged(b->v, PLUG(1));
    assert_file(b, 1, RAM_BUS, "m1", 0);
    show(b, "ram", false);
    vfio_assert_host(b->v, "[0+40000000/12:2]");
    vfio_assert_dma(b->v, 1, RAM_BUS, GUEST);
    quit(b);
}

/* A host of version 1 registers nothing, and has one window */
static void test_ram_v1(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM_LATER VFIO(1)
                      ",x-spapr-v1=on ");

    put(b, LIOBN_DEFAULT, RAM_BUS, GUEST, 4);
    show(b, "ram", true);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    put(b, LIOBN_DEFAULT, RAM_BUS, SINK, 2);
    unput(b, LIOBN_DEFAULT, RAM_BUS + 2 * PAGE, 2);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_file(b, 1, RAM_BUS + 2 * PAGE, "m1", 2 * PAGE);
    show(b, "ram", false);
    vfio_assert_dma(b->v, 1, RAM_BUS, SINK);
    assert_fault(b, 1, RAM_BUS + 2 * PAGE);
    show(b, "ram", true);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_unplug(b->v, "vf1", 1);
    vfio_assert_host(b->v, "");
    quit(b);
}

static void test_ram_readonly(void)
{
    BusTest *b = boot(POWERNV ONE, NULL,
                      REGION("ram", "addr=0x10000000,memdev=m1,readonly=on")
                      VFIO1);

    put(b, LIOBN_DEFAULT, SINK_BUS, SINK, 1);
    g_assert_cmpuint(vfio_dma_copy(b->v, 1, RAM_BUS, SINK_BUS), ==, RESULT_OK);
    g_assert_cmpuint(vfio_dma_copy(b->v, 1, SINK_BUS, RAM_BUS), ==,
                     RESULT_WRITE_FAULT);
    quit(b);
}

/* No window has it: devices of the host cannot use it, and say so */
static void test_ram_far(void)
{
    const char *text = "RAM at 0x100000000000 of 0x100000 bytes on the bus is"
                       " not in a DMA window of the host";
    BusTest *b = boot(POWERNV ONE, NULL, FAR_RAM);

    vfio_assert_not_plugged(b->v, PLUG(1), text);
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_host(b->v, "");
    show(b, "ram", false);
    vfio_assert_plugged(b->v, PLUG(1));
    vfio_assert_host(b->v, JUST_DEFAULT);
    g_assert_cmpuint(vfio_log_count(b->v, ""), ==, 0);

    /* Once it is too late to refuse the device, the log has it */
    show(b, "ram", true);
    g_assert_cmpuint(vfio_log_count(b->v, text), ==, 1);
    assert_fault(b, 1, FAR_RAM_BUS);
    put(b, LIOBN_DEFAULT, 0, GUEST, 2);
    vfio_assert_dma(b->v, 1, 0, GUEST);
    show(b, "ram", false);
    g_assert_cmpuint(vfio_regions(b->v), ==, 1);
    quit(b);

    /* Nor can a device that is there from the start */
    vfio_assert_not_started(POWERNV ONE,
                            "-object memory-backend-ram,id=m1,size=1M "
                            FAR_RAM VFIO1, text);
}

/*
 * Half of it is in a window, so the host cannot map it: the pages below are
 * not reached, and what a guest has taken back meanwhile stays so.
 */
#define HALF_BUS    (1 * GiB - FILE_SIZE / 2)

static void test_ram_half(void)
{
    BusTest *b = boot(POWERNV ONE, NULL,
                      REGION("ram", "addr=0x3ff80000,memdev=m1,shown=off")
                      VFIO1);

    put(b, LIOBN_DEFAULT, HALF_BUS, GUEST, 4);
    vfio_assert_dma(b->v, 1, HALF_BUS, GUEST);
    show(b, "ram", true);
    g_assert_cmpuint(vfio_log_count(b->v, "is not in a DMA window"), ==, 1);
    vfio_assert_host(b->v, JUST_DEFAULT);
    assert_fault(b, 1, HALF_BUS);
    unput(b, LIOBN_DEFAULT, HALF_BUS, 2);
    put(b, LIOBN_DEFAULT, HALF_BUS - 2 * PAGE, SINK, 2);
    vfio_assert_dma(b->v, 1, HALF_BUS - 2 * PAGE, SINK);
    show(b, "ram", false);
    vfio_assert_host(b->v, "[0+40000000/12:4]");
    assert_fault(b, 1, HALF_BUS);
    vfio_assert_dma(b->v, 1, HALF_BUS + 2 * PAGE, GUEST + 2 * PAGE);
    quit(b);
}

/* It fills no whole page of the host: that page is not reached at all */
static void test_ram_small(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K\n"
                                  ONE, "-object memory-backend-ram,id=m1,"
                                  "size=64K "
                                  "-device spapr-dma-test-region,id=ram,"
                                  "addr=0x800000000001000,size=4K,memdev=m1,"
                                  "shown=off " VFIO1);
    SpaprDdwWindow w = vfio_create(v, 16, 29, WINDOW_64);
    BusTest b = { .v = v };

    for (unsigned i = 0; i < 2; i++) {
        vfio_put(v, w.liobn, w.addr, GUEST | TCE_RW, H_SUCCESS);
        vfio_assert_dma(v, 1, w.addr, GUEST);
        show(&b, "ram", true);
        assert_fault(&b, 1, w.addr);
        vfio_put(v, w.liobn, w.addr, TCE_NONE, H_SUCCESS);
        vfio_put(v, w.liobn, w.addr, SINK | TCE_RW, H_SUCCESS);
        vfio_assert_host(v, "[0+40000000/12:0"
                         " 800000000000000+20000000/16:0]");
        show(&b, "ram", false);
        vfio_assert_dma(v, 1, w.addr, SINK);
    }
    vfio_quit(v);
}

/* Its window goes and comes back, and with it the RAM */
static void test_ram_window_again(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM VFIO1);

    vfio_create(b->v, 12, 28, WINDOW_64);
    g_assert_cmpint(spapr_ddw_remove(b->v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_host(b->v, "[800000000000000+10000000/12:0]");
    assert_fault(b, 1, RAM_BUS);
    g_assert_cmpint(spapr_ddw_reset(b->v->t), ==, RTAS_OK);
    vfio_assert_host(b->v, DEFAULT_WITH_RAM);
    assert_file(b, 1, RAM_BUS, "m1", 0);

    /* The host does not map the RAM, so there is no such window */
    g_assert_cmpint(spapr_ddw_remove(b->v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_fault(b->v, "ioctl=map,errno=ENOMEM,once");
    g_assert_cmpint(spapr_ddw_reset(b->v->t), ==, RTAS_HW_ERROR);
    vfio_assert_host(b->v, "[]");
    g_assert_cmpint(spapr_ddw_reset(b->v->t), ==, RTAS_OK);
    vfio_assert_host(b->v, DEFAULT_WITH_RAM);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    quit(b);
}

/*
 * RAM comes while the guest has no window at all.  Nobody can tell yet whether
 * a window will have it: that is said when there is the first one.
 */
static void test_ram_without_window(void)
{
    const char *text = "RAM at 0x100000000000 of 0x100000 bytes on the bus is"
                       " not in a DMA window of the host";
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM_LATER
                      REGION("far", "addr=0x100000000000,memdev=m2,shown=off")
                      VFIO1);
    SpaprDdwWindow w;

    g_assert_cmpint(spapr_ddw_remove(b->v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    show(b, "ram", true);
    show(b, "far", true);
    vfio_assert_host(b->v, "[]");
    g_assert_cmpuint(vfio_log_count(b->v, ""), ==, 0);

    g_assert_cmpint(spapr_ddw_reset(b->v->t), ==, RTAS_OK);
    vfio_assert_host(b->v, DEFAULT_WITH_RAM);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_fault(b, 1, FAR_RAM_BUS);
    g_assert_cmpuint(vfio_log_count(b->v, text), ==, 1);

    show(b, "far", false);
    show(b, "ram", false);
    w = vfio_create(b->v, 12, 28, WINDOW_64);
    put(b, w.liobn, w.addr, GUEST, 2);
    vfio_assert_dma(b->v, 1, w.addr, GUEST);
    g_assert_cmpuint(vfio_log_count(b->v, ""), ==, 1);
    g_assert_cmpint(spapr_ddw_remove(b->v->t, w.liobn), ==, RTAS_OK);
    show(b, "far", true);
    vfio_create(b->v, 12, 28, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(b->v->t), ==, RTAS_OK);
    g_assert_cmpuint(vfio_log_count(b->v, "warning: vfio: RAM"), ==, 1);
    quit(b);
}

/* Hosts from Linux 6.12 on clear all windows if one group leaves */
static void test_ram_group_leaves(const void *quirk)
{
    BusTest *b = boot(POWERNV TWO, quirk, BUS_RAM VFIO1 VFIO2);

    put(b, LIOBN_DEFAULT, RAM_BUS - 2 * PAGE, GUEST, 4);
    assert_file(b, 1, RAM_BUS, "m1", 0);
    assert_file(b, 2, RAM_BUS, "m1", 0);
    vfio_unplug(b->v, "vf1", 1);
    vfio_assert_host(b->v, "[0+40000000/12:102]");
    assert_file(b, 2, RAM_BUS, "m1", 0);
    vfio_assert_dma(b->v, 2, RAM_BUS - 2 * PAGE, GUEST);
    quit(b);
}

/* What no device had before is not lost */
static void test_ram_group_leaves_unmapped(void)
{
    BusTest *b = boot(POWERNV TWO, NULL, REGION("far", "addr=0x100000000000,"
                                                "memdev=m1,shown=off")
                      VFIO1 VFIO2);

    show(b, "far", true);
    g_assert_cmpuint(vfio_log_count(b->v, "is not in a DMA window"), ==, 1);
    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_log_count(b->v, "is not in a DMA window"), ==, 1);
    quit(b);
    b = boot(POWERNV TWO, NULL, BUS_RAM VFIO1 VFIO2);
    g_assert_cmpint(spapr_ddw_remove(b->v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_unplug(b->v, "vf1", 1);
    g_assert_cmpuint(vfio_log_count(b->v, "lost RAM"), ==, 0);
    quit(b);
}

/* The host does not map it again then: the log has that, each time */
static void test_ram_group_leaves_refused(void)
{
    BusTest *b = boot(POWERNV TWO, "detach-clears", BUS_RAM VFIO1 VFIO2);

    for (unsigned i = 1; i <= 2; i++) {
        vfio_fault(b->v, "ioctl=map,errno=ENOMEM");
        vfio_unplug(b->v, "vf1", 1);
        vfio_no_fault(b->v);
        g_assert_cmpuint(vfio_log_count(b->v, "lost RAM on the bus when a group"
                                        " left its container: host does not map"
                                        " RAM at 0x10000000"), ==, i);
        assert_fault(b, 2, RAM_BUS);
        show(b, "ram", false);
        show(b, "ram", true);
        assert_file(b, 2, RAM_BUS, "m1", 0);
        vfio_assert_plugged(b->v, PLUG(1));
        assert_file(b, 1, RAM_BUS, "m1", 0);
    }
    quit(b);
}

/* The host refuses to map it, before and after it has a device */
static void test_ram_refused(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, BUS_RAM);

    vfio_fault(b->v, "ioctl=map,errno=ENOMEM");
    vfio_assert_not_plugged(b->v, PLUG(1), "host does not map RAM at"
                            " 0x10000000 of 0x100000 bytes on the bus");
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_assert_host(b->v, "");
    vfio_fault(b->v, "ioctl=register,errno=EPERM");
    vfio_assert_not_plugged(b->v, PLUG(1), "refuses to register RAM");
    g_assert_cmpuint(vfio_regions(b->v), ==, 0);
    vfio_no_fault(b->v);
    g_assert_cmpuint(vfio_log_count(b->v, ""), ==, 0);

    show(b, "ram", false);
    vfio_assert_plugged(b->v, PLUG(1));
    put(b, LIOBN_DEFAULT, RAM_BUS, GUEST, 2);
    vfio_fault(b->v, "ioctl=map,errno=ENOMEM,once");
    show(b, "ram", true);
    g_assert_cmpuint(vfio_log_count(b->v, "host does not map RAM"), ==, 1);
    vfio_assert_host(b->v, JUST_DEFAULT);
    assert_fault(b, 1, RAM_BUS);
    show(b, "ram", false);
    vfio_assert_dma(b->v, 1, RAM_BUS, GUEST);
    quit(b);
}

/* RAM of the guest's is on the bus, too: registered once, and each may go */
static void test_ram_shared(void)
{
    BusTest *b = boot(POWERNV ONE, NULL,
                      "-device spapr-dma-test-region,id=ram,addr=0x10000000,"
                      "size=1M,memdev=ppc_spapr.ram,offset=0x8000000 " VFIO1);

    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    g_assert_cmpuint(spapr_view_locked(b->v->t, "ram"), ==, TEST_RAM);
    put(b, LIOBN_DEFAULT, 0, SINK, 2);
    vfio_assert_dma(b->v, 1, RAM_BUS, SINK);
    show(b, "ram", false);
    g_assert_cmpuint(vfio_registered(b->v), ==, TEST_RAM);
    vfio_assert_dma(b->v, 1, 0, SINK);
    show(b, "ram", true);
    vfio_assert_dma(b->v, 1, RAM_BUS, SINK);
    quit(b);
}

/* ---- order of calls ---- */

typedef struct Calls {
    GHashTable *registered;     /* host page -> 1 */
    GHashTable *mapped;         /* bus page -> host page */
    unsigned registers, maps, unregisters;
} Calls;

static void count_pages(GHashTable *pages, uint64_t start, uint64_t size,
                        bool add)
{
    for (uint64_t i = 0; i < size; i += PAGE) {
        gpointer page = GSIZE_TO_POINTER((start + i) / PAGE);

        if (add) {
            g_assert_true(g_hash_table_add(pages, page));
        } else {
            g_assert_true(g_hash_table_remove(pages, page));
        }
    }
}

typedef struct Span {
    uint64_t first, last;       /* pages */
} Span;

static gboolean bus_page_in(gpointer bus, gpointer va, gpointer span)
{
    const Span *s = span;

    return GPOINTER_TO_SIZE(bus) >= s->first &&
           GPOINTER_TO_SIZE(bus) <= s->last;
}

static gboolean host_page_in(gpointer bus, gpointer va, gpointer span)
{
    return bus_page_in(va, bus, span);
}

/* Follow one line of the trace */
static void replay(Calls *calls, const char *line)
{
    uint64_t iova, va, size;
    int fd, ret;

    if (sscanf(line, "vfio_prereg_register va=%" SCNx64 " size=%" SCNx64
               " ret=%d", &va, &size, &ret) == 3 && !ret) {
        count_pages(calls->registered, va, size, true);
        calls->registers++;
    } else if (sscanf(line, "vfio_prereg_unregister va=%" SCNx64 " size=%"
                      SCNx64, &va, &size) == 2) {
        Span span = { va / PAGE, (va + size) / PAGE - 1 };

        g_assert_null(g_hash_table_find(calls->mapped, host_page_in, &span));
        count_pages(calls->registered, va, size, false);
        calls->unregisters++;
    } else if (sscanf(line, "vfio_spapr_map container fd=%d iova=%" SCNx64
                      " va=%" SCNx64 " size=%" SCNx64 " ret=%d", &fd, &iova,
                      &va, &size, &ret) == 5 && !ret) {
        for (uint64_t i = 0; i < size; i += PAGE) {
            gpointer page = GSIZE_TO_POINTER((va + i) / PAGE);

            g_assert_true(g_hash_table_contains(calls->registered, page));
            g_hash_table_insert(calls->mapped,
                                GSIZE_TO_POINTER((iova + i) / PAGE), page);
        }
        calls->maps++;
    } else if (sscanf(line, "vfio_spapr_unmap container fd=%d iova=%" SCNx64
                      " size=%" SCNx64, &fd, &iova, &size) == 3) {
        Span span = { iova / PAGE, (iova + size) / PAGE - 1 };

        g_hash_table_foreach_remove(calls->mapped, bus_page_in, &span);
    } else if (sscanf(line, "vfio_spapr_remove_window offset=%" SCNx64,
                      &iova) == 1) {
        Span span = { iova / PAGE, (iova + (1 * GiB)) / PAGE - 1 };

        g_hash_table_foreach_remove(calls->mapped, bus_page_in, &span);
    }
}

#define TRACE   "-trace vfio_prereg_register -trace vfio_prereg_unregister " \
                "-trace vfio_spapr_map -trace vfio_spapr_unmap " \
                "-trace vfio_spapr_remove_window "

/*
 * Each page was registered whenever it was mapped, and not mapped any more when
 * that ended; no page was registered twice, and now none is.
 */
static void assert_order(BusTest *b, unsigned maps, unsigned registers)
{
    Calls calls = {
        .registered = g_hash_table_new(NULL, NULL),
        .mapped = g_hash_table_new(NULL, NULL),
    };
    g_autofree char *log = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents(b->v->log, &log, NULL, NULL));
    lines = g_strsplit(log, "\n", -1);
    for (char **line = lines; *line; line++) {
        replay(&calls, *line);
    }
    g_assert_cmpuint(calls.maps, >=, maps);
    g_assert_cmpuint(calls.registers, >=, registers);
    g_assert_cmpuint(calls.unregisters, ==, calls.registers);
    g_assert_cmpuint(g_hash_table_size(calls.registered), ==, 0);
    g_assert_cmpuint(g_hash_table_size(calls.mapped), ==, 0);
    g_hash_table_unref(calls.registered);
    g_hash_table_unref(calls.mapped);
}

/* All of it comes, is mapped and goes again in several ways */
static void test_order(void)
{
    BusTest *b = boot(POWERNV ONE, NULL, TRACE SECOND BUS_RAM
                      "-device spapr-dma-test-region,id=middle,space=s1,"
                      "addr=0x10000,size=8K,memdev=m2,shown=off ");
    const char *goes[] = { "r2", "layer", "ram", "r1" };
    SpaprDdwWindow w = vfio_create(b->v, 12, 28, WINDOW_64);

    for (unsigned i = 0; i < ARRAY_SIZE(goes); i++) {
        put(b, LIOBN_DEFAULT, RAM_BUS, GUEST, 8);
        put(b, w.liobn, w.addr, 0, 64);
        put(b, w.liobn, w.addr + 64 * PAGE, LAYER_RAM, 8);
        vfio_assert_plugged(b->v, PLUG(1));
        put(b, w.liobn, w.addr + 72 * PAGE, LAYER_RAM, 8);
        show(b, goes[i], false);
        show(b, "middle", true);
        show(b, goes[i], true);
        show(b, "middle", false);
        vfio_unplug(b->v, "vf1", 1);
    }
    assert_order(b, 100, 4 * 3 + 2);
    quit(b);
}

/* ---- at random ---- */

/*
 * Regions that show parts of the same RAM come and go, as TCEs and the device
 * do.  A device reads through a TCE what lies where it leads.  If that was not
 * there all the time since the TCE was stored or the device came, the TCE may
 * have no effect.
 */
typedef struct Part {
    const char *id;
    uint64_t addr;              /* in the space of the window */
    unsigned pages;
    unsigned stamp;             /* of its first page */
    bool shown;
} Part;

#define ENTRIES 64

typedef struct Entry {
    const Part *part;           /* where it leads, or NULL */
    unsigned page;
    bool effective;
} Entry;

typedef struct Random {
    BusTest *b;
    SpaprDdwWindow w;
    Part parts[7];
    bool layer_shown;
    bool plugged;
    Entry entries[ENTRIES];
} Random;

#define PART(id, space, addr, kib, file, offset) \
    "-device spapr-dma-test-region,id=" id ",space=" space ",addr=" #addr \
    ",size=" #kib "K,memdev=" file ",offset=" #offset ",shown=off "

#define PARTS \
    PART("p0", "s1", 0x000000, 1024, "m1", 0x00000) \
    PART("p1", "s1", 0x200000, 256, "m1", 0x40000) \
    PART("p2", "s1", 0x400000, 512, "m1", 0x60000) \
    PART("p3", "s1", 0x600000, 512, "m2", 0x00000) \
    PART("p4", "s1", 0x680000, 640, "m2", 0x50000) \
    PART("p5", "s2", 0x000000, 320, "m1", 0x90000) \
    PART("p6", "s2", 0x100000, 768, "m2", 0x10000)

#define STAMP_M2    256

static const Part all_parts[] = {
    { "p0", 0x000000, 256, 0 },
    { "p1", 0x200000, 64, 64 },
    { "p2", 0x400000, 128, 96 },
    { "p3", 0x600000, 128, STAMP_M2 },
    { "p4", 0x680000, 160, STAMP_M2 + 80 },
    { "p5", LAYER, 80, 144 },
    { "p6", LAYER + FILE_SIZE, 192, STAMP_M2 + 16 },
};

static bool part_seen(const Random *r, const Part *part)
{
    return part->shown && (part->addr < LAYER || r->layer_shown);
}

/* Let each page of the files say which it is */
static void stamp_file(BusTest *b, const char *name, uint32_t stamp)
{
    int fd = file_open(b, name);

    for (unsigned i = 0; i < FILE_SIZE / PAGE; i++) {
        uint32_t is = stamp + i;

        g_assert_cmpint(pwrite(fd, &is, sizeof(is), (uint64_t)i * PAGE), ==,
                        sizeof(is));
    }
    close(fd);
}

static void random_put(Random *r)
{
    unsigned n = g_test_rand_int_range(0, ENTRIES);
    const Part *part = &r->parts[g_test_rand_int_range(0,
                                                       ARRAY_SIZE(r->parts))];
    unsigned page = g_test_rand_int_range(0, part->pages);
    bool seen = part_seen(r, part);

    vfio_put(r->b->v, r->w.liobn, r->w.addr + n * PAGE,
             (part->addr + (uint64_t)page * PAGE) | TCE_RO,
             seen ? H_SUCCESS : H_PARAMETER);
    if (seen) {
        r->entries[n] = (Entry) { part, page, true };
    }
}

static void random_settle(Random *r)
{
    for (unsigned n = 0; n < ENTRIES; n++) {
        Entry *entry = &r->entries[n];

        entry->effective = entry->effective && part_seen(r, entry->part);
    }
}

static void random_show(Random *r)
{
    int i = g_test_rand_int_range(-1, ARRAY_SIZE(r->parts));
    bool *shown = i < 0 ? &r->layer_shown : &r->parts[i].shown;

    *shown = !*shown;
    show(r->b, i < 0 ? "layer" : r->parts[i].id, *shown);
    if (r->plugged) {
        random_settle(r);
    }
}

static void random_plug(Random *r)
{
    r->plugged = !r->plugged;
    if (r->plugged) {
        vfio_assert_plugged(r->b->v, PLUG(1));
        for (unsigned n = 0; n < ENTRIES; n++) {
            r->entries[n].effective = r->entries[n].part != NULL;
        }
        random_settle(r);
    } else {
        vfio_unplug(r->b->v, "vf1", 1);
        g_assert_cmpuint(vfio_regions(r->b->v), ==, 0);
    }
}

static void random_check(Random *r)
{
    for (unsigned i = 0; r->plugged && i < 8; i++) {
        unsigned n = g_test_rand_int_range(0, ENTRIES);
        const Entry *entry = &r->entries[n];
        uint32_t result = vfio_dma_copy(r->b->v, 1, r->w.addr + n * PAGE,
                                        SINK_BUS);

        if (!entry->part || !part_seen(r, entry->part)) {
            g_assert_cmpuint(result, ==, RESULT_READ_FAULT);
        } else if (entry->effective || result == RESULT_OK) {
            g_assert_cmpuint(result, ==, RESULT_OK);
            g_assert_cmpuint(qtest_readl(r->b->v->t->qts, SINK), ==,
                             GUINT32_TO_BE(entry->part->stamp + entry->page));
        }
    }
}

static void test_random(void)
{
    Random r = { };

    QEMU_BUILD_BUG_ON(sizeof(r.parts) != sizeof(all_parts));
    r.b = boot(POWERNV ONE, NULL, TRACE SPACE
               "-device spapr-dma-test-space,id=s2 "
               "-device spapr-dma-test-region,id=layer,space=s1,to=s2,"
               "addr=0x40000000,size=16M,shown=off " PARTS);
    r.w = vfio_create(r.b->v, 12, 28, WINDOW_64);
    memcpy(r.parts, all_parts, sizeof(all_parts));
    stamp_file(r.b, "m1", 0);
    stamp_file(r.b, "m2", STAMP_M2);
    put(r.b, LIOBN_DEFAULT, SINK_BUS, SINK, 1);
    random_plug(&r);

    for (unsigned i = 0; i < 600; i++) {
        switch (g_test_rand_int_range(0, 40)) {
        case 0:
            random_plug(&r);
            break;
        case 1 ... 8:
            random_show(&r);
            random_check(&r);
            break;
        default:
            random_put(&r);
        }
    }
    if (r.plugged) {
        random_plug(&r);
    }
    assert_order(r.b, 100, 20);
    quit(r.b);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/bus/targets", test_targets);
    qtest_add_func("spapr-vfio/bus/targets-share", test_targets_share);
    qtest_add_func("spapr-vfio/bus/targets-share-parts",
                   test_targets_share_parts);
    qtest_add_func("spapr-vfio/bus/targets-share-refused",
                   test_targets_share_refused);
    qtest_add_func("spapr-vfio/bus/targets-refused", test_targets_refused);
    qtest_add_func("spapr-vfio/bus/targets-pieces", test_targets_pieces);
    qtest_add_func("spapr-vfio/bus/targets-pieces-and-kvm",
                   test_targets_pieces_and_kvm);
    qtest_add_func("spapr-vfio/bus/targets-pieces-refused",
                   test_targets_pieces_refused);
    qtest_add_func("spapr-vfio/bus/targets-pieces-undone",
                   test_targets_pieces_undone);
    qtest_add_func("spapr-vfio/bus/layer", test_layer);
    qtest_add_data_func("spapr-vfio/bus/layer-ram-leaves", "r2",
                        test_layer_leaves);
    qtest_add_data_func("spapr-vfio/bus/layer-leaves", "layer",
                        test_layer_leaves);
    qtest_add_func("spapr-vfio/bus/layer-two-ways", test_layer_two_ways);
    qtest_add_func("spapr-vfio/bus/layer-refused", test_layer_refused);
    qtest_add_func("spapr-vfio/bus/layer-refused-on-one-way",
                   test_layer_refused_on_one_way);
    qtest_add_data_func("spapr-vfio/bus/layer-ring-of-one",
                        SECOND RING "space=s1,to=s1 ", test_layer_ring);
    qtest_add_data_func("spapr-vfio/bus/layer-ring-of-two",
                        SECOND RING "space=s2,to=s1 ", test_layer_ring);
    qtest_add_func("spapr-vfio/bus/layer-ring-of-three",
                   test_layer_ring_of_three);
    qtest_add_func("spapr-vfio/bus/ram", test_ram);
    qtest_add_func("spapr-vfio/bus/ram-type1", test_ram_type1);
    qtest_add_func("spapr-vfio/bus/ram-v1", test_ram_v1);
    qtest_add_func("spapr-vfio/bus/ram-later", test_ram_later);
    qtest_add_func("spapr-vfio/bus/ram-in-a-run", test_ram_in_a_run);
    qtest_add_func("spapr-vfio/bus/ram-in-two-windows",
                   test_ram_in_two_windows);
    qtest_add_func("spapr-vfio/bus/ram-and-kvm", test_ram_and_kvm);
    qtest_add_func("spapr-vfio/bus/ram-first", test_ram_first);
    qtest_add_func("spapr-vfio/bus/ram-readonly", test_ram_readonly);
    qtest_add_func("spapr-vfio/bus/ram-far", test_ram_far);
    qtest_add_func("spapr-vfio/bus/ram-half", test_ram_half);
    qtest_add_func("spapr-vfio/bus/ram-small", test_ram_small);
    qtest_add_func("spapr-vfio/bus/ram-window-again", test_ram_window_again);
    qtest_add_func("spapr-vfio/bus/ram-without-window",
                   test_ram_without_window);
    qtest_add_data_func("spapr-vfio/bus/ram-group-leaves", "detach-clears",
                        test_ram_group_leaves);
    qtest_add_data_func("spapr-vfio/bus/ram-group-leaves-old-host",
                        "no-detach-clears", test_ram_group_leaves);
    qtest_add_func("spapr-vfio/bus/ram-group-leaves-unmapped",
                   test_ram_group_leaves_unmapped);
    qtest_add_func("spapr-vfio/bus/ram-group-leaves-refused",
                   test_ram_group_leaves_refused);
    qtest_add_func("spapr-vfio/bus/ram-refused", test_ram_refused);
    qtest_add_func("spapr-vfio/bus/ram-shared", test_ram_shared);
    qtest_add_func("spapr-vfio/bus/order", test_order);
    qtest_add_func("spapr-vfio/bus/random", test_random);
    return g_test_run();
}
