/*
 * How much memory must be lockable, and who says so
 *
 * The limit is that of a process without CAP_IPC_LOCK, whoever runs the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "libqos/pci-spapr.h"
#include "spapr-vfio-common.h"

#define LOCKS       "this machine with its DMA windows locks "
#define ONE_MORE    "in another container add "
#define PLUGGABLE   " bytes, and "
#define LARGEST     24          /* log2 of the largest page on offer */

/* The second device has a PHB of its own, so a container of its own */
#define VFIO2_APART "-device spapr-pci-host-bridge,index=1,id=phb1 " \
                    "-device vfio-pci,id=vf2,bus=phb1.0,addr=2.0," \
                    "host=0001:02:00.0 "

/* The number behind @before in what was said */
static uint64_t figure(const char *said, const char *before)
{
    const char *at = strstr(said, before);

    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen(before), NULL, 10);
}

static char *host(uint64_t memlock, const char *groups)
{
    return g_strdup_printf("host flavour=powernv memlock=%" PRIu64 "\n%s",
                           memlock, groups);
}

static VfioTest *boot(uint64_t memlock, const char *groups,
                      const char *options)
{
    g_autofree char *topology = host(memlock, groups);

    return vfio_boot_under(vfio_unprivileged(), topology, NULL, options);
}

/* What a machine says that does not start with so little; to be freed */
static char *refused(uint64_t memlock, const char *groups,
                     const char *options)
{
    g_autofree char *topology = host(memlock, groups);
    int status;
    char *said = vfio_start(vfio_unprivileged(), topology, options, &status);

    g_assert_cmpint(status, !=, 0);
    return said;
}

/* The guest has the window that Linux makes, in each of its PHBs */
static void make_windows(VfioTest *v, unsigned ram_shift, unsigned phbs)
{
    uint64_t buid = v->t->buid;

    for (unsigned n = 0; n < phbs; n++, v->t->buid++) {
        SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

        g_assert_cmpuint(q.windows, ==, 1);
        g_assert_cmphex(q.largest, >=, 1ULL << (ram_shift - LARGEST));
        g_assert_cmpint(spapr_ddw_create(v->t, LARGEST, ram_shift).status, ==,
                        RTAS_OK);
    }
    v->t->buid = buid;
}

/* Run the planner; returns all that it has said, to be freed */
static char *plan(const char *options, int *status)
{
    g_autofree char *run = g_strdup_printf("contrib/spapr-dma-memlock/"
                                           "spapr-dma-memlock %s 2>&1",
                                           options);
    const char *shell[] = { "sh", "-c", run, NULL };
    char *said;

    g_assert_true(g_spawn_sync(NULL, (char **)shell, NULL, G_SPAWN_SEARCH_PATH,
                               NULL, NULL, &said, NULL, status, NULL));
    g_test_message("%s", said);
    return said;
}

static uint64_t planned(const char *memory, unsigned containers, bool kvm)
{
    g_autofree char *options = g_strdup_printf(
        "%s--devices %u --host-page 4K%s --bytes", memory, containers,
        kvm ? "" : " --tcg");
    int status;
    g_autofree char *said = plan(options, &status);

    g_assert_cmpint(status, ==, 0);
    return g_ascii_strtoull(said, NULL, 10);
}

typedef struct Rung {
    const char *name;
    const char *memory;
    unsigned ram_shift;
    const char *groups;
    const char *devices;
    unsigned containers;
} Rung;

static const Rung rungs[] = {
    { "256M", "-m 256M,slots=0,maxmem=256M ", 28, ONE, VFIO1, 1 },
    { "1G", "-m 1G,slots=0,maxmem=1G ", 30, ONE, VFIO1, 1 },
    { "4G", "-m 4G,slots=0,maxmem=4G ", 32, ONE, VFIO1, 1 },
    { "256M-two", "-m 256M,slots=0,maxmem=256M ", 28, TWO, VFIO1 VFIO2, 1 },
    { "1G-two-apart", "-m 1G,slots=0,maxmem=1G ", 30, TWO,
      VFIO1 VFIO2_APART, 2 },
};

/*
 * D20: what the first message says is enough for all windows, so there is no
 * second one; a page less is not.
 */
static void test_ladder(gconstpointer data)
{
    const Rung *r = data;
    g_autofree char *options = g_strdup_printf("%s%s", r->memory, r->devices);
    g_autofree char *said = refused(1 << 20, r->groups, options);
    uint64_t sum = figure(said, LOCKS) +
                   (r->containers - 1) * figure(said, ONE_MORE);
    VfioTest *v = boot(sum, r->groups, options);

    make_windows(v, r->ram_shift, r->containers);
    g_assert_cmpuint(vfio_locked(v), ==, sum);
    g_assert_cmpuint(spapr_view_locked(v->t, "sum"), ==, sum);
    g_assert_cmpuint(planned(r->memory, r->containers, false), ==,
                     sum);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    vfio_quit(v);

    v = boot(sum - PAGE, r->groups, options);
    make_windows(v, r->ram_shift, r->containers - 1);
    v->t->buid += r->containers - 1;
    g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, <,
                    1ULL << (r->ram_shift - LARGEST));
    vfio_quit(v);
}

/*
 * A host with one window makes its table when something is mapped first: what
 * the message says is enough for that, too, and a page less is not.
 */
static void test_one_window(void)
{
    const char *device = VFIO(1) ",x-spapr-v1=on ";
    g_autofree char *said = refused(1 << 20, ONE, device);
    uint64_t sum = figure(said, LOCKS);
    VfioTest *v = boot(sum, ONE, device);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x100000 | TCE_RW, H_SUCCESS);
    g_assert_cmpuint(vfio_locked(v), ==, sum);
    g_assert_cmpuint(spapr_view_locked(v->t, "sum"), ==, sum);
    vfio_quit(v);

    v = boot(sum - PAGE, ONE, device);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x100000 | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_quit(v);
}

/* D20: RAM can be locked, but not the default window's table */
static void test_no_default(void)
{
    g_autofree char *least = refused(1 << 20, ONE, VFIO1);
    g_autofree char *said = refused(258 << 20, ONE, VFIO1);

    g_assert_nonnull(strstr(said, "host cannot make a DMA window of"
                            " 0x40000000 bytes"));
    g_assert_cmpuint(figure(said, LOCKS), >, 260 << 20);
    g_assert_cmpuint(figure(said, LOCKS), ==, figure(least, LOCKS));
    g_assert_nonnull(strstr(said, "the limit (RLIMIT_MEMLOCK) is 270532608"
                            " bytes"));
    g_assert_nonnull(strstr(said, "with libvirt remove <hard_limit>"));
}

/* D20: the same sum is said while the default window is made once more */
static void test_no_default_later(void)
{
    VfioTest *v = boot(264 << 20, ONE, VFIO1);
    uint64_t sum = spapr_view_locked(v->t, "sum");
    g_autofree char *says = g_strdup_printf(LOCKS "%" PRIu64 " ", sum);

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM");
    qtest_system_reset(v->t->qts);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "has no default DMA window"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, says), ==, 1);
    vfio_quit(v);
}

/* There is just enough to start, and the guest's first query says so */
static void test_offer_told_once(void)
{
    VfioTest *v = boot(261 << 20, ONE, VFIO1);
    uint64_t sum = spapr_view_locked(v->t, "sum");
    g_autofree char *says = g_strdup_printf(LOCKS "%" PRIu64, sum);

    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    spapr_ddw_query(v->t, 6);
    spapr_ddw_query(v->t, 5);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "no more memory can be locked"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, says), ==, 1);
    vfio_quit(v);
}

/* What device_add says has the sum with the DIMM, and is enough for it */
static void test_dimm(void)
{
    const char *dimm = "{'driver': 'pc-dimm', 'id': 'd', 'memdev': 'm'}";
    const char *more = "{'driver': 'pc-dimm', 'id': 'd2', 'memdev': 'm2'}";
    const char *options = VFIO1 "-object memory-backend-ram,id=m,size=256M "
                          "-object memory-backend-ram,id=m2,size=256M ";
    g_autofree char *said = refused(1 << 20, ONE, options);
    uint64_t sum = figure(said, LOCKS), pluggable = figure(said, PLUGGABLE);
    VfioTest *v = boot(sum, ONE, options);
    g_autofree char *says = g_strdup_printf(LOCKS "%" PRIu64,
                                            sum + (256 << 20));
    g_autofree char *left = g_strdup_printf(PLUGGABLE "%u", 256 << 20);

    g_assert_cmpuint(pluggable, ==, 768 << 20);
    make_windows(v, 31, 1);     /* up to where DIMMs can be */
    vfio_assert_not_plugged(v, dimm, says);
    vfio_quit(v);

    v = boot(sum + (256 << 20), ONE, options);
    make_windows(v, 31, 1);
    vfio_assert_plugged(v, dimm);
    g_assert_cmpuint(vfio_locked(v), ==, sum + (256 << 20));
    vfio_assert_not_plugged(v, more, left);
    vfio_quit(v);
}

/* D21: why a guest is offered too little or nothing */
static void assert_told(const char *topology, const char *options,
                        const char *text)
{
    VfioTest *v = vfio_boot(topology, NULL, options);

    spapr_ddw_query(v->t, 6);
    spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(vfio_log_count(v, "the guest is offered"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, text), ==, 1);
    /* More locked memory would be of no use */
    g_assert_cmpuint(vfio_log_count(v, "RLIMIT_MEMLOCK"), ==, 0);
    vfio_quit(v);
}

static void test_told(void)
{
    assert_told("host flavour=p7\n" ONE, VFIO1, "has one window only");
    assert_told("host flavour=powernv windows=1\n" ONE, VFIO1,
                "the host has no more windows");
    assert_told(POWERNV ONE, "-global spapr-pci-host-bridge.dma64_win_addr="
                "0x400000000000000 " VFIO1, "the host starts no window at"
                " dma64_win_addr");
}

/* Another reason is told, too, once it is the one that counts */
static void test_told_again(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, "-global spapr-pci-"
                            "host-bridge.dma64_win_addr=0x20000000 ");

    spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "no more room at dma64_win_addr"), ==,
                     1);
    vfio_assert_plugged(v, PLUG(1));
    spapr_ddw_query(v->t, 6);
    spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 2);
    g_assert_cmpuint(vfio_log_count(v, "has one window only"), ==, 1);
    vfio_quit(v);
}

/* Of the two limits of a process the soft one holds */
static void test_soft_limit(void)
{
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), "host flavour=powernv"
                                  " memlock=320M memlock-max=1G\n" ONE, NULL,
                                  VFIO1);

    g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, 512);
    vfio_create(v, LARGEST, LARGEST + 9, WINDOW_64);
    vfio_quit(v);
}

/* Capabilities that count in a user namespace only lift no limit */
static void test_user_namespace(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv memlock=320M userns=on\n"
                            ONE, NULL, VFIO1);

    g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, 512);
    vfio_create(v, LARGEST, LARGEST + 9, WINDOW_64);
    vfio_quit(v);
}

/* Two hosts of version 1 each count what their window could map */
static void test_v1_twice(void)
{
    g_autofree char *options = g_strdup_printf("-m 256M,slots=0,maxmem=256M "
                                               "%s%s", VFIO1, VFIO2);
    VfioTest *v = vfio_boot("host flavour=p7\n" TWO, "own-table", options);

    vfio_assert_host(v, "[][]");
    g_assert_cmpuint(spapr_view_locked(v->t, "host-tables"), ==,
                     4 * GiB + 16 * MiB);
    vfio_quit(v);
}

/*
 * Two containers of a bus will have a table each, so that a guest is offered
 * half as much.
 */
static void test_offer_shared(void)
{
    const char *topology = "host flavour=powernv memlock=320M\n" TWO;
    const char *devices[] = { VFIO1, VFIO1 VFIO2 };
    const uint64_t largest[] = { 512, 256 };

    for (unsigned i = 0; i < 2; i++) {
        VfioTest *v = vfio_boot_under(vfio_unprivileged(), topology,
                                      "own-table", devices[i]);

        g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, largest[i]);
        vfio_create(v, LARGEST, LARGEST + 9 - i, WINDOW_64);
        vfio_quit(v);
    }
}

/*
 * Lockable memory is there for the host's table of a window with 512 pages and
 * no byte more.  KVM has a table of that window, too, so with it there is none.
 */
static void test_offer_with_kvm(void)
{
    const char *topology = "host flavour=powernv memlock=306225152\n" ONE;
    const char *options[] = { VFIO1, KVM VFIO1 };
    const uint64_t largest[] = { 512, 256 };

    for (unsigned i = 0; i < 2; i++) {
        VfioTest *v = vfio_boot_under(vfio_unprivileged(), topology, NULL,
                                      options[i]);

        g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, largest[i]);
        vfio_quit(v);
    }
}

/* What the planner says to an operator, and against wrong options */
static void test_planner(void)
{
    static const struct {
        const char *options, *says;
    } wrong[] = {
        { "", "-m is missing" },
        { "-m 1Q", "-m wants a size such as 64G, not '1Q'" },
        { "-m 0", "-m wants a size such as 64G, not '0'" },
        { "-m 2G,maxmem=1G", "maxmem is less than the memory at the start" },
        { "-m 2G,huge=1G", "-m knows maxmem= and slots=, not 'huge=1G'" },
        { "-m 1G --devices -1", "--devices wants a number up to 1000" },
        { "-m 1G --host-page 5K", "--host-page wants the size of a page such"
          " as 64K, not '5K'" },
        { "-m 1G --ram-page 1K", "--ram-page wants the size of a page" },
        { "-m 1G --other-ram x", "--other-ram wants a size such as 64G" },
        { "-m 1G more", "'more' is no option" },
        { "--nothing", "wrong option" },
    };
    int status;
    g_autofree char *said = plan("-m 512 --phbs 1", &status);

    g_assert_cmpint(status, ==, 0);
    g_assert_nonnull(strstr(said, "must be lockable"));
    g_assert_nonnull(strstr(said, " 545783808 bytes\n"));
    g_assert_nonnull(strstr(said, "ulimit -l 532992\n"));
    g_assert_nonnull(strstr(said, "LimitMEMLOCK=545783808\n"));
    g_assert_nonnull(strstr(said, "allows 4315938816 by itself, which is"
                            " enough at the start"));
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_autofree char *complaint = plan(wrong[i].options, &status);

        g_assert_cmpint(WEXITSTATUS(status), ==, 2);
        g_assert_nonnull(strstr(complaint, wrong[i].says));
    }
}

/* A device's RAM appears, for which the first sum had no room */
static void test_later_ram(const void *data)
{
    bool pluggable = data;
    const char *vga = "-device VGA,id=vga,addr=2.0 ";
    const char *memory = pluggable ? "-m 256M,slots=4,maxmem=1G " :
                                     "-m 256M,slots=0,maxmem=256M ";
    g_autofree char *options = g_strdup_printf("%s%s%s", memory, VFIO1, vga);
    g_autofree char *more = g_strdup_printf(PLUGGABLE "%u", 768 << 20);
    g_autofree char *said = refused(1 << 20, ONE, options);
    uint64_t sum = figure(said, LOCKS);
    VfioTest *v = boot(sum, ONE, options);
    g_autofree char *says = g_strdup_printf(LOCKS "%" PRIu64, sum + 16 * MiB);
    QPCIBus *bus;
    QPCIDevice *dev;

    make_windows(v, pluggable ? 31 : 28, 1);
    bus = qpci_new_spapr(v->t->qts, &v->t->alloc);
    dev = qpci_device_find(bus, QPCI_DEVFN(2, 0));
    qpci_device_enable(dev);
    qpci_iomap(dev, 0, NULL);
    g_assert_cmpuint(vfio_log_count(v, says), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, more), ==, pluggable);
    g_free(dev);
    qpci_free_spapr(bus);
    vfio_quit(v);
}

/* There a window takes a table of the host that is larger than itself */
static void test_partition(void)
{
    const char *format = "host flavour=lpar windows=2 memlock=%" PRIu64 "\n"
                         ONE;
    const char *options = "-m 256M,slots=0,maxmem=256M " VFIO1;
    g_autofree char *large = g_strdup_printf(format, 1ULL << 52);
    g_autofree char *exact = NULL;
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), large, NULL, options);
    uint64_t sum = spapr_view_locked(v->t, "sum");

    vfio_quit(v);
    exact = g_strdup_printf(format, sum);
    v = vfio_boot_under(vfio_unprivileged(), exact, NULL, options);
    make_windows(v, 28, 1);
    g_assert_cmpuint(vfio_locked(v), <=, sum);
    vfio_quit(v);
}

/* Advice to raise a limit that there is not would lower it */
static void test_no_limit(void)
{
    static const char *const faults[] = {
        "ioctl=register,errno=ENOMEM", "ioctl=tce_create,errno=ENOMEM,nth=4",
    };
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
        QDict *answer;
        const char *said;

        vfio_fault(v, faults[i]);
        answer = qtest_qmp(v->t->qts, "{'execute': 'device_add',"
                           " 'arguments': " PLUG(1) "}");
        said = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");
        g_assert_nonnull(strstr(said, "Cannot allocate memory; the limit of"
                                " locked memory allows what DMA windows"
                                " need: "));
        g_assert_null(strstr(said, "raise"));
        qobject_unref(answer);
        vfio_no_fault(v);
    }
    vfio_quit(v);
}

static void test_not_told(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    spapr_ddw_query(v->t, 6);
    vfio_create(v, 16, 31, WINDOW_64);
    spapr_ddw_query(v->t, 6);   /* as a second kernel does */
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    vfio_quit(v);

    /* B1: the guest's own window has the number of the default one */
    v = vfio_boot("host flavour=powernv windows=1\n" ONE, NULL, VFIO1);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmphex(vfio_create(v, 16, 31, 0).liobn, ==, LIOBN_DEFAULT);
    spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    vfio_quit(v);
}

/* KVM's tables count, unless a container keeps windows out of KVM */
#define WITH_KVM "-device spapr-dma-test-kvm "

static void test_kvm(void)
{
    const char *memory = "-m 1G,slots=0,maxmem=1G ";
    g_autofree char *options = g_strdup_printf("%s%s%s", memory, WITH_KVM,
                                               VFIO1);
    g_autofree char *said = refused(1 << 20, ONE, options);
    uint64_t sum = figure(said, LOCKS), tables;
    VfioTest *v = boot(sum, ONE, options);

    make_windows(v, 30, 1);
    tables = spapr_view_locked(v->t, "kvm-tables");
    /* 2^18 words with their list, and 2^6 words */
    g_assert_cmpuint(tables, ==, 2 * MiB + 2 * PAGE + 2 * PAGE);
    g_assert_cmpuint(spapr_view_locked(v->t, "sum"), ==, sum);
    g_assert_cmpuint(vfio_locked(v), ==, sum - tables);
    g_assert_cmpuint(planned(memory, 1, true), ==, sum);
    vfio_quit(v);

    v = vfio_boot("host flavour=p7\n" ONE, NULL, WITH_KVM VFIO1);
    g_assert_cmpuint(spapr_view_locked(v->t, "kvm-tables"), ==, 0);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    for (unsigned i = 0; i < ARRAY_SIZE(rungs); i++) {
        g_autofree char *path = g_strdup_printf(
            "spapr-vfio/memlock/D20-ladder/%s", rungs[i].name);

        qtest_add_data_func(path, &rungs[i], test_ladder);
    }
    qtest_add_func("spapr-vfio/memlock/D20-no-default", test_no_default);
    qtest_add_func("spapr-vfio/memlock/D20-no-default-later",
                   test_no_default_later);
    qtest_add_func("spapr-vfio/memlock/D20-offer-told-once",
                   test_offer_told_once);
    qtest_add_func("spapr-vfio/memlock/dimm", test_dimm);
    qtest_add_data_func("spapr-vfio/memlock/later-ram", NULL, test_later_ram);
    qtest_add_data_func("spapr-vfio/memlock/later-ram-and-dimms", "",
                        test_later_ram);
    qtest_add_func("spapr-vfio/memlock/partition", test_partition);
    qtest_add_func("spapr-vfio/memlock/no-limit", test_no_limit);
    qtest_add_func("spapr-vfio/memlock/soft-limit", test_soft_limit);
    qtest_add_func("spapr-vfio/memlock/user-namespace", test_user_namespace);
    qtest_add_func("spapr-vfio/memlock/v1-twice", test_v1_twice);
    qtest_add_func("spapr-vfio/memlock/offer-shared", test_offer_shared);
    qtest_add_func("spapr-vfio/memlock/offer-with-kvm", test_offer_with_kvm);
    qtest_add_func("spapr-vfio/memlock/one-window", test_one_window);
    qtest_add_func("spapr-vfio/memlock/planner", test_planner);
    qtest_add_func("spapr-vfio/memlock/D21-told", test_told);
    qtest_add_func("spapr-vfio/memlock/D21-told-again", test_told_again);
    qtest_add_func("spapr-vfio/memlock/D21-not-told", test_not_told);
    qtest_add_func("spapr-vfio/memlock/kvm", test_kvm);
    return g_test_run();
}
