/*
 * sPAPR DMA windows with devices of the host
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

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-spapr.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "spapr-dma-common.h"

#define PAGE    4096

/* Device 1 is in group 1 and so on, and has slot 1 of the PHB and so on */
#define DEVICE(n)   "device 0001:0" #n ":00.0 group=" #n "\n"
#define ONE         "group 1\n" DEVICE(1)
#define TWO         ONE "group 2\n" DEVICE(2)
#define POWERNV     "host flavour=powernv\n"

#define VFIO(n)     "-device vfio-pci,id=vf" #n ",addr=" #n ".0," \
                    "host=0001:0" #n ":00.0"
#define VFIO1       VFIO(1) " "
#define VFIO2       VFIO(2) " "
#define VFIO2_V1    VFIO(2) ",x-spapr-v1=on "

/* Where the first DIMM goes */
#define DIMM            (1 * GiB)

/* What the host has as long as there is the default window only */
#define JUST_DEFAULT    "[0+40000000/12:0]"

/* Plug the first device in */
#define PLUG1 "{'driver': 'vfio-pci', 'id': 'vf1', 'host': '0001:01:00.0'," \
              " 'addr': '1.0'}"

/* Registers of the DMA engine, in BAR 0 */
enum {
    ENGINE_SOURCE = 4,
    ENGINE_DESTINATION = 12,
    ENGINE_LENGTH = 20,
    ENGINE_DIRECTION = 24,
    ENGINE_DOORBELL = 28,
    ENGINE_RESULT = 32,

    RESULT_OK = 1,
    RESULT_READ_FAULT = 2,
    RESULT_WRITE_FAULT = 3,
};

/* VFIO and PAPR: states of a PE */
enum {
    PE_NORMAL = 0,
    PE_RESET = 1,
    PE_STOPPED = 2,
};

typedef struct VfioTest {
    SpaprDmaTest *t;
    char *dir;                  /* where the files of the run are */
    char *topology, *control, *log;
} VfioTest;

/*
 * Start and stop
 */

static char *make_dir(void)
{
    char *dir = g_dir_make_tmp("spapr-vfio-XXXXXX", NULL);

    g_assert(dir);
    return dir;
}

/* @wrapper: a command that runs a command, with a space behind it, or "" */
static VfioTest *vfio_boot_under(const char *wrapper, const char *topology,
                                 const char *quirk, const char *options)
{
    VfioTest *v = g_new0(VfioTest, 1);
    g_autofree char *qemu = NULL;

    v->dir = make_dir();
    v->topology = g_build_filename(v->dir, "topology", NULL);
    v->control = g_build_filename(v->dir, "control", NULL);
    v->log = g_build_filename(v->dir, "log", NULL);
    g_assert(g_file_set_contents(v->topology, topology, -1, NULL));

    qemu = g_strdup_printf("2>%s %s%s run --topology %s --control %s %s%s"
                           " -- %s", v->log, wrapper, getenv("VFIO_MODEL"),
                           v->topology, v->control, quirk ? "--quirk " : "",
                           quirk ?: "", getenv("QTEST_QEMU_BINARY"));
    g_setenv("QTEST_QEMU_UNDER_MODEL", qemu, true);
    v->t = spapr_dma_boot_env("QTEST_QEMU_UNDER_MODEL",
                              "-m slots=4,maxmem=1G %s", options);
    return v;
}

static VfioTest *vfio_boot(const char *topology, const char *quirk,
                           const char *options)
{
    return vfio_boot_under("", topology, quirk, options);
}

/*
 * On a host with pages of @page bytes, where files that are called *.huge are
 * made of pages of 2 MiB
 */
static VfioTest *vfio_boot_pages(unsigned page, const char *topology,
                                 const char *options)
{
    g_autofree char *beside = g_path_get_dirname(getenv("VFIO_MODEL"));
    g_autofree char *wrapper = g_strdup_printf(
        "env LD_PRELOAD=%s/libhost-pages.so HOST_PAGE=%u HUGE_PAGE=%u ",
        beside, page, 2 * (unsigned)MiB);

    return vfio_boot_under(wrapper, topology, NULL, options);
}

/*
 * How many lines of the log have @text in them, empty ones left out, and one
 * that ASAN begins with since it does not know coroutines well
 */
static unsigned vfio_log_count(VfioTest *v, const char *text)
{
    g_autofree char *log = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned count = 0;

    g_assert(g_file_get_contents(v->log, &log, NULL, NULL));
    lines = g_strsplit(log, "\n", -1);
    for (char **line = lines; *line; line++) {
        count += **line && strstr(*line, text) &&
                 !strstr(*line, "WARNING: ASan");
    }
    return count;
}

/* The host must have nothing to complain about */
static void vfio_quit(VfioTest *v)
{
    spapr_dma_quit(v->t);
    g_assert_cmpuint(vfio_log_count(v, "violation"), ==, 0);
    unlink(v->topology);
    unlink(v->control);
    unlink(v->log);
    g_assert_cmpint(rmdir(v->dir), ==, 0);
    g_free(v->topology);
    g_free(v->control);
    g_free(v->log);
    g_free(v->dir);
    g_free(v);
}

/*
 * The host
 */

static char *vfio_ctl(VfioTest *v, const char *command, const char *rule)
{
    const char *argv[] = {
        getenv("VFIO_MODEL"), "ctl", v->control, command, rule, NULL
    };
    char *out = NULL;
    int status;

    g_assert(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out,
                          NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    return out;
}

static void vfio_fault(VfioTest *v, const char *rule)
{
    g_autofree char *answer = vfio_ctl(v, "fault", rule);

    g_assert_cmpstr(answer, ==, "ok\n");
}

static void vfio_no_fault(VfioTest *v)
{
    g_autofree char *answer = vfio_ctl(v, "clear", NULL);

    g_assert_cmpstr(answer, ==, "ok\n");
}

static QDict *vfio_ledger(VfioTest *v)
{
    g_autofree char *json = vfio_ctl(v, "ledger", NULL);

    return qobject_to(QDict, qobject_from_json(json, &error_abort));
}

static void append_container(GString *to, QDict *container)
{
    const QListEntry *entry;
    const char *space = "";

    g_string_append(to, "[");
    QLIST_FOREACH_ENTRY(qdict_get_qlist(container, "windows"), entry) {
        QDict *window = qobject_to(QDict, qlist_entry_obj(entry));
        uint64_t shift = qdict_get_int(window, "page_shift");

        g_string_append_printf(to, "%s%" PRIx64 "+%" PRIx64 "/%u:%" PRIx64,
                               space, qdict_get_int(window, "start"),
                               qdict_get_int(window, "entries") << shift,
                               (unsigned)shift,
                               qdict_get_int(window, "mapped"));
        space = " ";
    }
    g_string_append(to, "]");
}

/* All containers in one string, in order of their age */
static void vfio_assert_host(VfioTest *v, const char *expected)
{
    QDict *ledger = vfio_ledger(v);
    QDict *live = qdict_get_qdict(ledger, "live");
    const QListEntry *entry;
    g_autoptr(GString) found = g_string_new("");

    QLIST_FOREACH_ENTRY(qdict_get_qlist(live, "containers"), entry) {
        g_autoptr(GString) one = g_string_new("");

        append_container(one, qobject_to(QDict, qlist_entry_obj(entry)));
        g_string_append(found, one->str);
    }
    g_assert_cmpstr(found->str, ==, expected);
    qobject_unref(ledger);
}

/* How often a call was made, whatever came of it */
static unsigned vfio_calls(VfioTest *v, const char *call)
{
    QDict *ledger = vfio_ledger(v);
    QDict *results = qdict_get_qdict(qdict_get_qdict(ledger, "calls"), call);
    const QDictEntry *entry;
    unsigned count = 0;

    for (entry = results ? qdict_first(results) : NULL; entry;
         entry = qdict_next(results, entry)) {
        count += qnum_get_int(qobject_to(QNum, qdict_entry_value(entry)));
    }
    qobject_unref(ledger);
    return count;
}

static unsigned vfio_regions(VfioTest *v)
{
    QDict *ledger = vfio_ledger(v);
    QDict *live = qdict_get_qdict(ledger, "live");
    unsigned count = qlist_size(qdict_get_qlist(live, "regions"));

    qobject_unref(ledger);
    return count;
}

/*
 * The machine
 */

/* device_add with arguments in JSON; returns the answer */
static QDict *device_add(VfioTest *v, const char *json)
{
    return qtest_qmp(v->t->qts, "{'execute': 'device_add',"
                     " 'arguments': %p }",
                     qobject_from_json(json, &error_abort));
}

static void assert_plugged(VfioTest *v, const char *json)
{
    QDict *answer = device_add(v, json);

    g_assert(qdict_haskey(answer, "return"));
    qobject_unref(answer);
}

/* device_add fails, with @text in the reason */
static void assert_not_plugged(VfioTest *v, const char *json,
                               const char *text)
{
    QDict *answer = device_add(v, json);

    g_assert(qdict_haskey(answer, "error"));
    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(answer, "error"),
                                          "desc"), text));
    qobject_unref(answer);
}

static int32_t set_indicator(SpaprDmaTest *t, uint32_t type, uint32_t index,
                             uint32_t state)
{
    uint32_t args[] = { type, index, state };
    uint32_t ret[8];

    return spapr_rtas(t, "set-indicator", 3, args, 1, ret);
}

/* Unplug a device as a guest does that has stopped using it */
static void unplug(SpaprDmaTest *t, const char *id, unsigned slot)
{
    const uint32_t drc = 0x40000000 | slot << 3;

    qtest_qmp_assert_success(t->qts, "{'execute': 'device_del',"
                             " 'arguments': { 'id': %s } }", id);
    g_assert_cmpint(set_indicator(t, 9001, drc, 0), ==, RTAS_OK);
    qtest_qmp_eventwait(t->qts, "DEVICE_DELETED");
}

static SpaprDdwWindow create(SpaprDmaTest *t, uint32_t page_shift,
                             uint32_t window_shift, uint64_t addr)
{
    SpaprDdwWindow w = spapr_ddw_create(t, page_shift, window_shift);

    g_assert_cmpint(w.status, ==, RTAS_OK);
    g_assert_cmphex(w.addr, ==, addr);
    return w;
}

static void put(SpaprDmaTest *t, uint32_t liobn, uint64_t ioba, uint64_t tce,
                int64_t status)
{
    g_assert_cmpint(spapr_put_tce(t, liobn, ioba, tce), ==, status);
}

/*
 * DMA of a device
 */

static void engine_write64(QPCIDevice *dev, QPCIBar bar, unsigned offset,
                           uint64_t value)
{
    qpci_io_writel(dev, bar, offset, value);
    qpci_io_writel(dev, bar, offset + 4, value >> 32);
}

/* Copy a page from one bus address to another; returns the engine's result */
static uint32_t dma_copy(SpaprDmaTest *t, unsigned slot, uint64_t from,
                         uint64_t to)
{
    QPCIBus *bus = qpci_new_spapr(t->qts, &t->alloc);
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));
    QPCIBar bar;
    uint32_t result;

    g_assert_nonnull(dev);
    bar = qpci_iomap(dev, 0, NULL);
    qpci_config_writew(dev, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    engine_write64(dev, bar, ENGINE_SOURCE, from);
    engine_write64(dev, bar, ENGINE_DESTINATION, to);
    qpci_io_writel(dev, bar, ENGINE_LENGTH, PAGE);
    qpci_io_writel(dev, bar, ENGINE_DIRECTION, 0);
    qpci_io_writel(dev, bar, ENGINE_DOORBELL, 1);
    result = qpci_io_readl(dev, bar, ENGINE_RESULT);
    /* All devices use the same addresses, one after the other */
    qpci_config_writew(dev, PCI_COMMAND, 0);
    g_free(dev);
    qpci_free_spapr(bus);
    return result;
}

/* A page of data arrives through two TCEs of a window */
static void assert_dma(SpaprDmaTest *t, unsigned slot, uint64_t bus,
                       uint64_t gpa)
{
    uint8_t data[PAGE], found[PAGE];

    for (unsigned i = 0; i < PAGE; i++) {
        data[i] = i * 7 + slot;
    }
    qtest_memwrite(t->qts, gpa, data, PAGE);
    qtest_memset(t->qts, gpa + PAGE, 0, PAGE);
    g_assert_cmpuint(dma_copy(t, slot, bus, bus + PAGE), ==, RESULT_OK);
    qtest_memread(t->qts, gpa + PAGE, found, PAGE);
    g_assert_cmpmem(data, PAGE, found, PAGE);
}

/*
 * What is offered
 */

static void test_query(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, 1ULL << (54 - 24));
    g_assert_cmphex(q.page_sizes, ==, 0x107);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 55).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/*
 * B4: tables of windows are locked memory.  RAM and the default window's leave
 * less than 60 MiB, of which a page of 16 MiB takes 64 KiB for its 2^12 entries
 * of 16 bytes, and a word for KVM.
 */
static void test_query_memlock(void)
{
    /* Who may lock more than the limit has none */
    const char *wrapper = geteuid() ? "" :
        "setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock ";
    VfioTest *v = vfio_boot_under(wrapper, "host flavour=powernv memlock=320M\n"
                                  ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);
    SpaprDdwWindow w;

    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, 512);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 24 + 10).status, ==,
                    RTAS_PARAM_ERROR);
    w = create(v->t, 24, 24 + 9, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+200000000/12:0]");
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    vfio_quit(v);

    /* Nothing is left but for the default window */
    v = vfio_boot_under(wrapper, "host flavour=powernv memlock=261M\n" ONE,
                        NULL, VFIO1);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmphex(q.largest, ==, 8);
    g_assert_cmpuint(q.windows, ==, 1);
    vfio_quit(v);
    v = vfio_boot_under(wrapper, "host flavour=powernv memlock=266272K\n" ONE,
                        NULL, VFIO1);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmphex(q.largest, ==, 0);
    g_assert_cmpuint(q.windows, ==, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 24).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_quit(v);
}

/* The host has fewer windows and pages than the PHB would allow */
static void test_query_small_host(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv windows=1 pagesizes=64K\n"
                            ONE, NULL, "-global spapr-pci-host-bridge.pgsz="
                            "0x11000 ");
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.page_sizes, ==, 3);
    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0'}", "no DMA page size");
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    vfio_quit(v);
}

static void test_query_one_window(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv windows=1\n" ONE, NULL,
                            VFIO1);

    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    create(v->t, 16, 28, 0);
    vfio_assert_host(v, "[0+10000000/12:0]");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

static void test_query_v1(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpuint(q.windows, ==, 0);
    g_assert_cmphex(q.page_sizes, ==, 3);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, (2 * GiB) >> 16);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 32).status, ==,
                    RTAS_PARAM_ERROR);
    create(v->t, 16, 31, 0);
    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

static void test_limited_not_offered(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    create(v->t, 16, 28, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    vfio_quit(v);
}

static void test_limited_offered(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv start64=4G\n" ONE, NULL,
                            VFIO1);

    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_OK);
    create(v->t, 16, 28, WINDOW_LIMITED);
    vfio_assert_host(v, "[0+40000000/12:0 100000000+10000000/12:0]");
    vfio_quit(v);
}

/* Four calls, and nothing of them is left */
static void test_probe(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, 2 + 1);
    g_assert_cmpuint(vfio_calls(v, "tce_remove"), ==, 1 + 2);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* A host that cannot be probed still works */
static void test_probe_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    create(v->t, 16, 28, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    vfio_quit(v);
}

/*
 * Windows
 */

/* Mappings that were made before the device came are there for it */
static void test_plug_replays(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:2]");
    assert_dma(v->t, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* A9: plugging costs what is mapped, not what could be: here 2^31 pages */
static void test_plug_replays_huge(void)
{
    const uint64_t last = WINDOW_64 + (1ULL << 43) - PAGE;
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = create(v->t, 12, 43, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, last - PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, last, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+80000000000/12:3]");
    assert_dma(v->t, 1, last - PAGE, 0x4000000);
    vfio_quit(v);
}

/* The same without a default window, whose place the host would give away */
static void test_plug_upper_place(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = create(v->t, 16, 28, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    vfio_assert_host(v, "[800000000000000+10000000/12:10]");
    assert_dma(v->t, 1, w.addr, 0x4000000);

    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* A window that the host does not make leaves nothing behind */
static void test_create_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2);
    unsigned before = vfio_calls(v, "tce_create");

    vfio_fault(v, "ioctl=tce_create,errno=EPERM");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_HW_ERROR);
    /* No other number of levels helps against that */
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 1);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);
    spapr_assert_no_window(v->t, LIOBN_64);

    vfio_no_fault(v);
    create(v->t, 16, 28, WINDOW_64);
    vfio_quit(v);
}

/* C9: tried again with more levels, but only as many as there are */
static void test_create_levels(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    unsigned before = vfio_calls(v, "tce_create");

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 26).status, ==,
                    RTAS_HW_ERROR);
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 5);
    vfio_no_fault(v);

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM,once");
    create(v->t, 16, 26, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+4000000/12:0]");
    vfio_quit(v);
}

/* C7: more entries than 32 bits count, on a host that knows three levels */
static void test_create_huge(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv levels=3\n" ONE, NULL,
                            VFIO1);

    create(v->t, 24, 48, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0"
                     " 800000000000000+1000000000000/12:0]");
    vfio_quit(v);
}

/* Guest RAM in a file that claims pages of 2 MiB */
typedef struct HugeRam {
    char *dir, *path, *options;
} HugeRam;

static HugeRam huge_ram_new(const char *devices)
{
    HugeRam ram = { .dir = make_dir() };

    ram.path = g_build_filename(ram.dir, "ram.huge", NULL);
    ram.options = g_strdup_printf("-object memory-backend-file,id=huge,"
                                  "size=256M,share=on,mem-path=%s "
                                  "-machine memory-backend=huge %s", ram.path,
                                  devices);
    return ram;
}

static void huge_ram_free(HugeRam *ram)
{
    g_assert_cmpint(unlink(ram->path), ==, 0);
    g_assert_cmpint(rmdir(ram->dir), ==, 0);
    g_free(ram->options);
    g_free(ram->path);
    g_free(ram->dir);
}

/* C8: 2^32 entries of 2 MiB, which could seem to need no call at all */
static void test_create_huge_pages(void)
{
    HugeRam ram = huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K"
                                  " backing=2M\n" ONE, ram.options);

    create(v->t, 24, 53, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0"
                     " 800000000000000+20000000000000/21:0]");
    vfio_quit(v);
    huge_ram_free(&ram);
}

/*
 * C24: a host that knows one level is asked for one, however few entries there
 * are.
 */
static void test_create_one_level(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K"
                                  " levels=1\n" ONE, VFIO1);

    create(v->t, 16, 29, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+20000000/16:0]");
    vfio_quit(v);
}

/*
 * B4, C11: the host puts windows elsewhere, which the guest hears when it asks
 * what there is; others live.
 */
#define ELSEWHERE "host flavour=powernv start64=0x400000000000000\n" ONE

static void test_create_elsewhere(void)
{
    VfioTest *v = vfio_boot(ELSEWHERE, NULL, VFIO1);

    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    create(v->t, 16, 31, 0);
    vfio_quit(v);
}

/* C11: where the host puts them could not be found out before */
static void test_create_elsewhere_unknown(void)
{
    VfioTest *v = vfio_boot(ELSEWHERE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    spapr_assert_available(v->t, 1);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_HW_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    g_assert_cmpuint(vfio_log_count(v, "host puts the DMA window at"), ==, 1);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

/* A2: a device that cannot be plugged leaves nothing behind */
static void test_plug_refused(void)
{
    static const char *const rules[] = {
        "ioctl=set_iommu,errno=ENOMEM", "ioctl=get_info,errno=EINVAL",
        "ioctl=register,errno=ENOMEM", "ioctl=register,return=3",
        "ioctl=tce_create,errno=ENOMEM", "ioctl=tce_create,errno=EPERM",
        "ioctl=map,errno=ENOMEM", "ioctl=map,return=1",
        "ioctl=tce_remove,errno=EINVAL",
    };
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        vfio_fault(v, rules[i]);
        assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                           " 'host': '0001:01:00.0', 'addr': '1.0'}", "");
        vfio_no_fault(v);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
    }
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    vfio_assert_host(v, "[0+40000000/12:1]");
    vfio_quit(v);
}

/* C19: what fails last, once the host has its windows, leaves none */
static void test_plug_replay_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, w.addr + PAGE, 0x4008000 | TCE_RW, H_SUCCESS);
    for (unsigned nth = 1; nth <= 3; nth++) {
        g_autofree char *rule = g_strdup_printf("ioctl=map,nth=%u,"
                                                "errno=ENOMEM", nth);

        vfio_fault(v, rule);
        assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                           " 'host': '0001:01:00.0', 'addr': '1.0'}",
                           "Cannot allocate memory");
        vfio_no_fault(v);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
    }
    spapr_assert_tce(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    vfio_quit(v);
}

/* C2: the reason is the host's */
static void test_plug_reason(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv memlock=200M\n" ONE, NULL,
                            "");

    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0', 'addr': '1.0'}",
                       "Cannot allocate memory");
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C14: the same when nothing can be written to the log in between */
static void test_plug_reason_no_log(void)
{
    VfioTest *v = vfio_boot_under("sh -c 'exec \"$@\" 2>/dev/full' sh ",
                                  POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM");
    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0', 'addr': '1.0'}",
                       "Cannot allocate memory");
    vfio_no_fault(v);
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C13: the host says nothing of windows, so version 2 is no use */
static void test_short_info(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, "short-info", "");

    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0'}", "dynamic DMA windows");
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C18: version 1 fails, too, and says what it was */
static void test_plug_refused_v1(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, "");

    vfio_fault(v, "ioctl=enable,errno=ENOMEM");
    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0'}", "does not enable");
    vfio_no_fault(v);
    vfio_assert_host(v, "");
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0'}");
    vfio_quit(v);
}

/* Default windows that no host can have: the device is refused */
static void test_plug_odd_default(void)
{
    static const struct {
        const char *host, *options, *reason;
    } odd[] = {
        { POWERNV, "dma_win_size=0x30000000", "power of two" },
        { "host flavour=p7\n", "dma_win_size=0x100000000",
          "does not lie in the only one" },
        { "host flavour=powernv pagesizes=64K\n", "pgsz=0x11000",
          "no DMA page size" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        g_autofree char *topology = g_strdup_printf("%s" ONE, odd[i].host);
        g_autofree char *options = g_strdup_printf(
            "-global spapr-pci-host-bridge.%s ", odd[i].options);
        VfioTest *v = vfio_boot(topology, NULL, options);

        assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                           " 'host': '0001:01:00.0'}", odd[i].reason);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
        vfio_quit(v);
    }
}

/* The only window of version 1 is not where the guest has one */
static void test_plug_v1_too_late(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1);
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf2',"
                       " 'host': '0001:02:00.0', 'x-spapr-v1': true}",
                       "does not lie in the only one");
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:1]");
    put(v->t, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* What the host refuses while things are torn down is told once, and over */
static void test_teardown_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2_V1);

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=unmap,errno=EINVAL");
    vfio_fault(v, "ioctl=tce_remove,errno=EINVAL");
    vfio_fault(v, "ioctl=unregister,errno=ENOENT");
    vfio_fault(v, "ioctl=disable,errno=EINVAL");
    put(v->t, LIOBN_DEFAULT, 0, 0, H_SUCCESS);
    spapr_assert_tce(v->t, LIOBN_DEFAULT, 0, 0);
    unplug(v->t, "vf2", 2);
    unplug(v->t, "vf1", 1);
    vfio_assert_host(v, "");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "did not remove"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "could not be unregistered"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "did not disable"), ==, 1);
    create(v->t, 16, 28, WINDOW_64);
    vfio_quit(v);
}

/*
 * Mapping
 */

static void test_map_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwWindow w = create(v->t, 16, 28, WINDOW_64);

    vfio_fault(v, "ioctl=map,errno=ENOMEM");
    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    spapr_assert_tce(v->t, w.liobn, w.addr, 0);
    g_assert_cmpuint(dma_copy(v->t, 1, w.addr, w.addr + PAGE), ==,
                     RESULT_READ_FAULT);
    vfio_no_fault(v);
    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* C15: +1 is no success; the real driver has it for some bad addresses */
static void test_map_plus_one(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=map,return=1");
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    spapr_assert_tce(v->t, LIOBN_DEFAULT, 0, 0);
    vfio_no_fault(v);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=unmap,return=1");
    put(v->t, LIOBN_DEFAULT, 0, 0, H_SUCCESS);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 1);
    vfio_quit(v);
}

/* B7: a reset leaves the default window to those who use it */
static void test_reset_keeps_default(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    create(v->t, 16, 28, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, "[0+40000000/12:2]");
    assert_dma(v->t, 1, 0, 0x4000000);
    vfio_quit(v);
}

/* A machine reset that gets no default window is told once, and over */
static void test_reset_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=tce_create,errno=EPERM");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    for (unsigned i = 0; i < 10; i++) {
        qtest_system_reset(v->t->qts);
    }
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_HW_ERROR);
    vfio_assert_host(v, "[]");
    g_assert_cmpuint(vfio_log_count(v, "has no default DMA window"), ==, 1);
    vfio_no_fault(v);
    qtest_system_reset(v->t->qts);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

/* A10: whatever a guest repeats is in the log once */
static void test_map_flood(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=map,errno=ENOMEM");
    for (unsigned i = 0; i < 1000; i++) {
        put(v->t, LIOBN_DEFAULT, i * PAGE, 0x4000000 | TCE_RW,
            H_NOT_ENOUGH_RESOURCES);
    }
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "is not mapped for DMA"), ==, 1);
    vfio_quit(v);
}

/* C20: what one host container refuses is not mapped in the other either */
static void test_map_two_containers(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2_V1);

    vfio_assert_host(v, JUST_DEFAULT "[]");
    spapr_assert_available(v->t, 0);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:2][0+80000000/12:2]");
    assert_dma(v->t, 1, 0, 0x4000000);
    assert_dma(v->t, 2, 0, 0x4000000);

    for (unsigned i = 1; i <= 2; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=map,container=%u,"
                                                "errno=ENOMEM,once", i);

        vfio_fault(v, rule);
        put(v->t, LIOBN_DEFAULT, 2 * PAGE, 0x4002000 | TCE_RW,
            H_NOT_ENOUGH_RESOURCES);
        vfio_no_fault(v);
        vfio_assert_host(v, "[0+40000000/12:2][0+80000000/12:2]");
        spapr_assert_tce(v->t, LIOBN_DEFAULT, 2 * PAGE, 0);
    }
    vfio_quit(v);
}

/*
 * Groups
 */

/* C17: hosts from Linux 6.12 on clear all windows if one group leaves */
static void test_group_leaves(const void *quirk)
{
    VfioTest *v = vfio_boot(POWERNV TWO, quirk, VFIO1 VFIO2);
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RO, H_SUCCESS);
    assert_dma(v->t, 2, w.addr, 0x4000000);

    unplug(v->t, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    assert_dma(v->t, 2, w.addr, 0x4000000);
    vfio_quit(v);
}

/* A group joins a container with windows, and uses what is mapped there */
static void test_group_joins(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1);
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    put(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf2',"
                   " 'host': '0001:02:00.0', 'addr': '2.0'}");
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:2]");
    assert_dma(v->t, 2, w.addr, 0x4000000);
    assert_dma(v->t, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* A host where a table serves one group only */
static void test_group_own_table(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1);

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf2',"
                   " 'host': '0001:02:00.0', 'addr': '2.0'}");
    vfio_assert_host(v, "[0+40000000/12:2][0+40000000/12:2]");
    assert_dma(v->t, 1, 0, 0x4000000);
    assert_dma(v->t, 2, 0, 0x4000000);
    vfio_quit(v);
}

/* The same, known before there is any window: the host is a partition */
static void test_group_own_table_early(void)
{
    VfioTest *v = vfio_boot("host flavour=lpar\n" TWO, NULL, VFIO1 VFIO2);

    vfio_assert_host(v, JUST_DEFAULT JUST_DEFAULT);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, 0, 0x4000000);
    assert_dma(v->t, 2, 0, 0x4000000);
    vfio_quit(v);
}

/*
 * RAM
 */

static void backend_add(VfioTest *v, const char *id)
{
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-ram', 'id': %s,"
                             " 'size': 268435456 } }", id);
}

static void backend_del(VfioTest *v, const char *id)
{
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-del',"
                             " 'arguments': { 'id': %s } }", id);
}

/* C3: the host does not take the RAM, so the guest does not get it */
static void test_dimm_refused(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv memlock=300M\n" ONE, NULL,
                            VFIO1);

    backend_add(v, "m1");
    assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                       " 'memdev': 'm1'}", "refuses to register RAM");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    put(v->t, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_PARAMETER);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    backend_del(v, "m1");
    vfio_quit(v);
}

/* The second host container does not take it, so the first gives it back */
static void test_dimm_refused_later(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1 VFIO2);

    backend_add(v, "m1");
    vfio_fault(v, "ioctl=register,nth=2,errno=ENOMEM");
    assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                       " 'memdev': 'm1'}", "refuses to register RAM");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    backend_del(v, "m1");
    vfio_quit(v);
}

/* Plugging fails after the host was asked: nothing stays registered */
static void test_dimm_not_plugged(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    backend_add(v, "m1");
    assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'node': 7,"
                       " 'memdev': 'm1'}", "node");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    put(v->t, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, (DIMM + PAGE) | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, 0, DIMM);
    vfio_quit(v);
}

/* C10: pages of a DIMM are too small for a window that the host has */
static void test_dimm_small_pages(void)
{
    HugeRam ram = huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(4 * KiB, "host flavour=powernv backing=2M\n"
                                  ONE, ram.options);
    SpaprDdwWindow w = create(v->t, 21, 30, WINDOW_64);

    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/21:0]");
    backend_add(v, "m1");
    assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                       " 'memdev': 'm1'}", "takes only pages of 2^21");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    create(v->t, 21, 30, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/12:0]");
    vfio_quit(v);
    huge_ram_free(&ram);
}

/* Of a run half of which is in memory that is gone, a device gets the rest */
static void test_dimm_gone(void)
{
    const uint64_t border = DIMM + 256 * MiB;
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    backend_add(v, "m1");
    backend_add(v, "m2");
    assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd2', 'memdev': 'm2'}");
    for (int i = -2; i < 2; i++) {
        put(v->t, LIOBN_DEFAULT, (i + 2) * PAGE, (border + i * PAGE) | TCE_RW,
            H_SUCCESS);
    }
    /* No guest has seen it, thus none is asked */
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'device_del',"
                             " 'arguments': { 'id': 'd2' } }");
    qtest_qmp_eventwait(v->t->qts, "DEVICE_DELETED");
    assert_plugged(v, PLUG1);
    vfio_assert_host(v, "[0+40000000/12:2]");
    assert_dma(v->t, 1, 0, border - 2 * PAGE);
    g_assert_cmpuint(dma_copy(v->t, 1, 2 * PAGE, 0), ==, RESULT_READ_FAULT);
    vfio_quit(v);
}

/* What a guest sees of an NVDIMM is an alias, which leaves its label out */
static void test_dimm_alias(void)
{
    const char *nvdimm = "{'driver': 'nvdimm', 'id': 'd1', 'memdev': 'm1',"
                         " 'label-size': 131072, 'uuid':"
                         " '4e1d5e1c-9b9d-4f4e-8b0a-0a5d3b5d1c77'}";
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "-machine nvdimm=on " VFIO1);

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-ram', 'id': 'm1',"
                             " 'size': 268566528 } }");
    vfio_fault(v, "ioctl=register,errno=ENOMEM,once");
    assert_not_plugged(v, nvdimm, "refuses to register RAM");
    assert_plugged(v, nvdimm);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    put(v->t, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, (DIMM + PAGE) | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, 0, DIMM);
    put(v->t, LIOBN_DEFAULT, PAGE, (DIMM + 256 * MiB) | TCE_RW, H_PARAMETER);
    vfio_quit(v);
}

/*
 * RAM of devices, which a guest lets appear in its memory and vanish
 */

/* A bus address of the first PHB, and where it appears in guest memory */
#define BAR_BUS         0x90000000
#define BAR_GPA         0x200090000000ULL
#define BAR_SIZE        (1 * MiB)

static void set_bar(SpaprDmaTest *t, unsigned slot, unsigned offset,
                    uint32_t value, uint16_t command)
{
    QPCIBus *bus = qpci_new_spapr(t->qts, &t->alloc);
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));

    g_assert_nonnull(dev);
    qpci_config_writew(dev, PCI_COMMAND, 0);
    qpci_config_writel(dev, offset, value);
    qpci_config_writew(dev, PCI_COMMAND, command);
    g_free(dev);
    qpci_free_spapr(bus);
}

/* Is @path in the memory of QEMU? */
static bool is_mapped(SpaprDmaTest *t, const char *path)
{
    g_autofree char *name = g_strdup_printf("/proc/%d/maps",
                                            (int)qtest_pid(t->qts));
    g_autofree char *maps = NULL;

    g_assert(g_file_get_contents(name, &maps, NULL, NULL));
    return strstr(maps, path);
}

/* A device in @slot with RAM from @path, which is not in guest memory yet */
static void plug_ram(VfioTest *v, const char *id, unsigned slot,
                     const char *path)
{
    g_autofree char *device = g_strdup_printf(
        "{'driver': 'ivshmem-plain', 'id': 'dev%s', 'memdev': '%s',"
        " 'addr': '%u.0'}", id, id, slot);

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-file', 'id': %s,"
                             " 'mem-path': %s, 'share': true,"
                             " 'size': 1048576 } }", id, path);
    assert_plugged(v, device);
}

/*
 * C5: the same with RAM, of which a host with large pages takes only whole
 * ones; that is told once.
 */
static void test_ram_less_than_page(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K\n"
                                  ONE, VFIO1
                                  "-object memory-backend-ram,id=m3,size=4K "
                                  "-object memory-backend-ram,id=m4,size=4K "
                                  "-device ivshmem-plain,memdev=m3,addr=3.0 "
                                  "-device ivshmem-plain,memdev=m4,addr=4.0 ");

    for (unsigned i = 0; i < 2; i++) {
        uint64_t offset = i * BAR_SIZE;

        set_bar(v->t, 3 + i, PCI_BASE_ADDRESS_2, BAR_BUS + offset,
                PCI_COMMAND_MEMORY);
        put(v->t, LIOBN_DEFAULT, 0, (BAR_GPA + offset) | TCE_RW,
            H_NOT_ENOUGH_RESOURCES);
    }
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "does not fill whole host pages"), ==,
                     1);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_quit(v);
}

/* A device whose ROM of @size bytes is at BAR_GPA */
static VfioTest *boot_with_rom(size_t size)
{
    g_autofree char *dir = make_dir();
    g_autofree char *path = g_build_filename(dir, "rom", NULL);
    g_autofree char *rom = g_malloc0(size);
    g_autofree char *options = g_strdup_printf(VFIO1 "-device pci-testdev,"
                                               "addr=3.0,romfile=%s", path);
    VfioTest *v;

    g_assert(g_file_set_contents(path, rom, size, NULL));
    v = vfio_boot(POWERNV ONE, NULL, options);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
    set_bar(v->t, 3, PCI_ROM_ADDRESS, BAR_BUS | PCI_ROM_ADDRESS_ENABLE,
            PCI_COMMAND_MEMORY);
    return v;
}

/* Whatever permission a TCE gives, a device cannot write to ROM */
static void test_ram_permissions(void)
{
    VfioTest *v = boot_with_rom(64 * KiB);

    g_assert_cmpuint(vfio_regions(v), ==, 2);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_WO, H_SUCCESS);
    g_assert_cmpuint(dma_copy(v->t, 1, 0, PAGE), ==, RESULT_OK);
    g_assert_cmpuint(dma_copy(v->t, 1, PAGE, 0), ==, RESULT_READ_FAULT);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    g_assert_cmpuint(dma_copy(v->t, 1, PAGE, 0), ==, RESULT_WRITE_FAULT);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_WO, H_NOT_ENOUGH_RESOURCES);
    vfio_quit(v);
}

/* Memory of a device of the host is no RAM, so another cannot reach it */
static void test_ram_of_device(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2);

    set_bar(v->t, 2, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, JUST_DEFAULT);
    set_bar(v->t, 2, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    vfio_quit(v);
}

/*
 * C6: RAM is looked for in system memory, where no IOMMU lies: windows are in
 * the address spaces of buses.
 */
static void test_ram_iommu(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1 "-device spapr-vscsi ");
    g_autofree char *all = NULL;
    g_auto(GStrv) views = NULL;
    unsigned found = 0, windows = 0;

    create(v->t, 16, 28, WINDOW_64);
    all = qtest_hmp(v->t->qts, "info mtree -f");
    views = g_strsplit(all, "FlatView #", -1);
    for (char **view = views; *view; view++) {
        bool iommu = strstr(*view, "tce-iommu");

        if (strstr(*view, "AS \"memory\"")) {
            found++;
            g_assert_false(iommu);
        }
        windows += iommu;
    }
    g_assert_cmpuint(found, ==, 1);
    /* The PHB's and the VIO device's */
    g_assert_cmpuint(windows, ==, 2);
    vfio_quit(v);
}

/*
 * C21: devices keep RAM locked, so nobody may discard it meanwhile.  Nobody
 * loses by that: pseries has no virtio-mem, which could tell what to lock.
 */
static void test_ram_discard(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    QDict *answer = qtest_qmp(v->t->qts, "{'execute': 'qom-list-types',"
                              " 'arguments': { 'implements': 'virtio-mem' } }");

    g_assert_true(qlist_empty(qdict_get_qlist(answer, "return")));
    qobject_unref(answer);
    vfio_quit(v);
}

/*
 * RAM vanishes while it is mapped: it is unregistered all the same, after the
 * host was told to unmap it; other RAM that follows it stays.
 */
static void test_ram_leaves_mapped(void)
{
    const uint64_t border = BAR_GPA + BAR_SIZE;
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *one = g_build_filename(v->dir, "one", NULL);
    g_autofree char *two = g_build_filename(v->dir, "two", NULL);
    SpaprDdwWindow w = create(v->t, 12, 28, WINDOW_64);

    plug_ram(v, "m1", 3, one);
    plug_ram(v, "m2", 4, two);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE,
            PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 3);
    /* Four pages in a row, the border in their middle, and one elsewhere */
    for (int i = -2; i < 2; i++) {
        put(v->t, w.liobn, w.addr + (i + 2) * PAGE,
            (border + i * PAGE) | TCE_RW, H_SUCCESS);
    }
    put(v->t, LIOBN_DEFAULT, 0, border | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, w.addr + PAGE, border - PAGE);

    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    assert_dma(v->t, 1, w.addr, border - 2 * PAGE);
    spapr_assert_tce(v->t, w.liobn, w.addr + 2 * PAGE, border | TCE_RW);

    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:0]");
    g_assert_cmpuint(dma_copy(v->t, 1, w.addr, w.addr + PAGE), ==,
                     RESULT_READ_FAULT);

    /* It comes back, and with it what is stored from now on */
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE,
            PCI_COMMAND_MEMORY);
    put(v->t, LIOBN_DEFAULT, 0, border | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, (border + PAGE) | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, 0, border);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    unlink(one);
    unlink(two);
    vfio_quit(v);
}

/* A page of a window over two pieces of RAM, each too small for a host page */
static void test_ram_in_pieces(void)
{
    HugeRam ram = huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(4 * KiB, "host flavour=powernv backing=2M\n"
                                  ONE, ram.options);
    SpaprDdwWindow w = create(v->t, 21, 30, WINDOW_64);

    for (unsigned i = 0; i < 2; i++) {
        const char *id = i ? "m2" : "m1";
        g_autofree char *path = g_build_filename(v->dir, id, NULL);

        plug_ram(v, id, 3 + i, path);
        g_assert_cmpint(unlink(path), ==, 0);
        set_bar(v->t, 3 + i, PCI_BASE_ADDRESS_2, BAR_BUS + i * BAR_SIZE,
                PCI_COMMAND_MEMORY);
    }
    put(v->t, w.liobn, w.addr, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/21:0]");
    put(v->t, LIOBN_DEFAULT, 0, (BAR_GPA + BAR_SIZE) | TCE_RW, H_SUCCESS);
    vfio_quit(v);
    huge_ram_free(&ram);
}

/* C1: RAM that is gone is freed, though it was registered */
static void test_ram_freed(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);
    unsigned tries;

    plug_ram(v, "m1", 3, path);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, (BAR_GPA + PAGE) | TCE_RW, H_SUCCESS);
    assert_dma(v->t, 1, 0, BAR_GPA);
    g_assert_cmpint(spapr_stuff_tce(v->t, LIOBN_DEFAULT, 0, 0, 2), ==,
                    H_SUCCESS);

    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    unplug(v->t, "devm1", 3);
    g_assert_true(is_mapped(v->t, path));
    backend_del(v, "m1");
    /* RCU does it, at its leisure */
    for (tries = 0; tries < 500 && is_mapped(v->t, path); tries++) {
        g_usleep(10000);
    }
    g_assert_false(is_mapped(v->t, path));
    g_assert_cmpint(unlink(path), ==, 0);
    vfio_quit(v);
}

/*
 * C5: 2 KiB of ROM cannot be registered, which is no failure; the guest hears
 * that devices do not reach it.
 */
static void test_ram_small(void)
{
    VfioTest *v = boot_with_rom(2 * KiB);

    g_assert_cmpuint(vfio_regions(v), ==, 1);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RO, H_PARAMETER);
    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:1]");
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    vfio_quit(v);
}

/*
 * RAM that appears without having been asked about and is refused: the log has
 * it once, devices do not reach it, and it goes without a trace.
 */
static void test_ram_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);

    plug_ram(v, "m1", 3, path);
    vfio_fault(v, "ioctl=register,errno=EPERM");
    for (unsigned i = 0; i < 3; i++) {
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
        g_assert_cmpuint(vfio_regions(v), ==, 1);
        put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    }
    g_assert_cmpuint(vfio_log_count(v, "refuses to register RAM"), ==, 1);
    vfio_no_fault(v);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    put(v->t, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    unlink(path);
    vfio_quit(v);
}

/* Two DIMMs cannot be registered: the first is what the user hears of */
static void test_ram_refused_at_start(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    backend_add(v, "m1");
    assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    vfio_fault(v, "ioctl=register,errno=EPERM");
    assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                       " 'host': '0001:01:00.0', 'addr': '1.0'}",
                       "register RAM \"ppc_spapr.ram\"");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_regions(v), ==, 0);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf1',"
                   " 'host': '0001:01:00.0', 'addr': '1.0'}");
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_quit(v);
}

/*
 * Hosts that cannot do what others can
 */

/* The window before the guest's own one has no page size that fits */
static void test_host_page_sizes(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv pagesizes=1G\n" ONE, NULL,
                            "");
    SpaprDdwQuery q;

    assert_not_plugged(v, PLUG1, "no DMA page size that fits");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_plugged(v, PLUG1);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.page_sizes, ==, 0);
    g_assert_cmpuint(q.largest, ==, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_assert_host(v, "[]");
    vfio_quit(v);
}

static void test_host_keeps_default(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_remove,errno=EBUSY,once");
    assert_not_plugged(v, PLUG1, "does not drop its default DMA window");
    assert_plugged(v, PLUG1);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* More levels help if the shape is what was wrong, however that is said */
static void test_host_levels_einval(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    unsigned before = vfio_calls(v, "tce_create");

    vfio_fault(v, "ioctl=tce_create,errno=EINVAL");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 26).status, ==,
                    RTAS_HW_ERROR);
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 5);
    vfio_quit(v);
}

/* The lower place cannot be kept, so the host makes the window there */
static void test_host_no_placeholder(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = create(v->t, 16, 28, WINDOW_64);

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    /* Two calls find out the places */
    vfio_fault(v, "ioctl=tce_create,nth=3,errno=ENOSPC,once");
    assert_not_plugged(v, PLUG1, "host puts the DMA window at");
    vfio_no_fault(v);
    assert_plugged(v, PLUG1);
    vfio_assert_host(v, "[800000000000000+10000000/12:0]");
    g_assert_cmphex(w.addr, ==, WINDOW_64);
    vfio_quit(v);
}

/* Nothing is known of its places; two groups can share it all the same */
static void test_host_places_unknown(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, "");

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    assert_plugged(v, PLUG1);
    assert_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf2',"
                   " 'host': '0001:02:00.0', 'addr': '2.0'}");
    vfio_assert_host(v, "[]");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* What another group's leaving took along cannot be mapped again */
static void test_host_no_replay(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "detach-clears", VFIO1 VFIO2);

    put(v->t, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, PAGE, 0x6000000 | TCE_RW, H_SUCCESS);
    put(v->t, LIOBN_DEFAULT, 2 * PAGE, 0x5000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=map,errno=ENOMEM,once");
    unplug(v->t, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:2]");
    g_assert_cmpuint(vfio_log_count(v, "a device lost DMA mappings"), ==, 1);
    vfio_quit(v);
}

#define P7 "host flavour=p7 dma32=512M\n" ONE

/* The only window of an old host is smaller than the guest's */
static void test_host_small_window(void)
{
    VfioTest *v = vfio_boot(P7, NULL, "");

    assert_not_plugged(v, PLUG1, "does not lie in the only one of the host");
    vfio_quit(v);

    v = vfio_boot(P7, NULL,
                  "-global spapr-pci-host-bridge.dma_win_size=0x20000000");
    vfio_fault(v, "ioctl=enable,errno=EPERM,once");
    assert_not_plugged(v, PLUG1, "does not enable its DMA window");
    assert_plugged(v, PLUG1);
    /* It makes its table when something is mapped: no news before that */
    vfio_fault(v, "ioctl=unmap,errno=ENXIO");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 0);
    vfio_quit(v);
}

/*
 * C22: EEH with several groups and containers
 */

static int32_t eeh_state(SpaprDmaTest *t, uint32_t *state)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid };
    uint32_t ret[8];

    *state = RTAS_UNTOUCHED;
    spapr_rtas(t, "ibm,read-slot-reset-state2", 3, args, 4, ret);
    *state = ret[1];
    return ret[0];
}

static void assert_eeh_state(SpaprDmaTest *t, uint32_t expected)
{
    uint32_t state;

    g_assert_cmpint(eeh_state(t, &state), ==, RTAS_OK);
    g_assert_cmpuint(state, ==, expected);
}

static int32_t eeh_reset(SpaprDmaTest *t, uint32_t option)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid, option };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,set-slot-reset", 4, args, 1, ret);
}

static int32_t eeh_option(SpaprDmaTest *t, uint32_t option)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid, option };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,set-eeh-option", 4, args, 1, ret);
}

static int32_t eeh_configure(SpaprDmaTest *t)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,configure-pe", 3, args, 1, ret);
}

static void test_eeh(const void *options)
{
    VfioTest *v = vfio_boot("host flavour=powernv freeze=on\n" TWO,
                            "no-reset-normal", options);

    assert_eeh_state(v->t, PE_NORMAL);
    g_assert_cmpint(eeh_option(v->t, 1), ==, RTAS_OK);
    for (unsigned slot = 1; slot <= 2; slot++) {
        dma_copy(v->t, slot, 0, PAGE);
        assert_eeh_state(v->t, PE_STOPPED);
        g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_OK);
        assert_eeh_state(v->t, PE_RESET);
        g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
        g_assert_cmpint(eeh_configure(v->t), ==, RTAS_OK);
        assert_eeh_state(v->t, PE_NORMAL);
    }
    g_assert_cmpint(eeh_reset(v->t, 2), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, 4), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, -1), ==, RTAS_PARAM_ERROR);
    vfio_quit(v);
}

static void test_eeh_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "no-reset-normal", VFIO1 VFIO2_V1);
    uint32_t state;

    for (unsigned i = 1; i <= 2; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=eeh,container=%u,"
                                                "errno=EIO", i);

        vfio_fault(v, rule);
        g_assert_cmpint(eeh_option(v->t, 2), ==, RTAS_HW_ERROR);
        g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_HW_ERROR);
        g_assert_cmpint(eeh_configure(v->t), ==, RTAS_PARAM_ERROR);
        g_assert_cmpint(eeh_state(v->t, &state), ==, RTAS_PARAM_ERROR);
        vfio_no_fault(v);
        /* The other one was reset nevertheless */
        assert_eeh_state(v->t, PE_RESET);
        g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
    }
    g_assert_cmpuint(vfio_log_count(v, "refuses EEH"), ==, 1);
    vfio_quit(v);
}

static void test_eeh_absent(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv eeh=off\n" ONE, NULL,
                            VFIO1);
    uint32_t state;

    g_assert_cmpint(eeh_state(v->t, &state), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_quit(v);
}

/* A machine without DMA windows cannot have such a device */
static void test_other_machine(void)
{
    g_autofree char *dir = make_dir();
    g_autofree char *topology = g_build_filename(dir, "topology", NULL);
    g_autofree char *errors = NULL;
    g_autofree char *command = g_strdup_printf(
        "%s run --topology %s -- %s -machine mac99 -accel qtest -nodefaults"
        " -display none -device vfio-pci,host=0001:01:00.0",
        getenv("VFIO_MODEL"), topology, getenv("QTEST_QEMU_BINARY"));
    int status;

    g_assert(g_file_set_contents(topology, POWERNV ONE, -1, NULL));
    g_assert(g_spawn_command_line_sync(command, NULL, &errors, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(errors, "not on a bus with sPAPR DMA windows"));
    g_assert_null(strstr(errors, "vfio-model: leak"));
    g_assert_cmpint(unlink(topology), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

static void test_no_model(void)
{
    g_test_skip("set VFIO_MODEL to the command vfio-model");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!getenv("VFIO_MODEL")) {
        qtest_add_func("spapr-vfio/skipped", test_no_model);
        return g_test_run();
    }
    qtest_add_func("spapr-vfio/query/B4", test_query);
    qtest_add_func("spapr-vfio/query/B4-memlock", test_query_memlock);
    qtest_add_func("spapr-vfio/query/small-host", test_query_small_host);
    qtest_add_func("spapr-vfio/query/one-window", test_query_one_window);
    qtest_add_func("spapr-vfio/query/v1", test_query_v1);
    qtest_add_func("spapr-vfio/limited/not-offered", test_limited_not_offered);
    qtest_add_func("spapr-vfio/limited/offered", test_limited_offered);
    qtest_add_func("spapr-vfio/probe/calls", test_probe);
    qtest_add_func("spapr-vfio/probe/refused", test_probe_refused);
    qtest_add_func("spapr-vfio/create/refused", test_create_refused);
    qtest_add_func("spapr-vfio/create/C9-levels", test_create_levels);
    qtest_add_func("spapr-vfio/create/C7-huge", test_create_huge);
    qtest_add_func("spapr-vfio/create/C8-huge-pages", test_create_huge_pages);
    qtest_add_func("spapr-vfio/create/C24-one-level", test_create_one_level);
    qtest_add_func("spapr-vfio/create/B4-C11-elsewhere",
                   test_create_elsewhere);
    qtest_add_func("spapr-vfio/create/C11-elsewhere-unknown",
                   test_create_elsewhere_unknown);
    qtest_add_func("spapr-vfio/plug/replay", test_plug_replays);
    qtest_add_func("spapr-vfio/plug/A9-huge", test_plug_replays_huge);
    qtest_add_func("spapr-vfio/plug/upper-place", test_plug_upper_place);
    qtest_add_func("spapr-vfio/plug/A2-refused", test_plug_refused);
    qtest_add_func("spapr-vfio/plug/C19-replay-refused",
                   test_plug_replay_refused);
    qtest_add_func("spapr-vfio/plug/C2-reason", test_plug_reason);
    qtest_add_func("spapr-vfio/plug/C14-reason-no-log",
                   test_plug_reason_no_log);
    qtest_add_func("spapr-vfio/plug/C13-short-info", test_short_info);
    qtest_add_func("spapr-vfio/plug/C18-refused-v1", test_plug_refused_v1);
    qtest_add_func("spapr-vfio/plug/odd-default", test_plug_odd_default);
    qtest_add_func("spapr-vfio/plug/v1-too-late", test_plug_v1_too_late);
    qtest_add_func("spapr-vfio/unplug/C4-refused", test_teardown_refused);
    qtest_add_func("spapr-vfio/map/refused", test_map_refused);
    qtest_add_func("spapr-vfio/map/C15-plus-one", test_map_plus_one);
    qtest_add_func("spapr-vfio/reset/B7-keeps-default",
                   test_reset_keeps_default);
    qtest_add_func("spapr-vfio/reset/refused", test_reset_refused);
    qtest_add_func("spapr-vfio/map/A10-flood", test_map_flood);
    qtest_add_func("spapr-vfio/map/C20-two-containers",
                   test_map_two_containers);
    qtest_add_data_func("spapr-vfio/group/C17-leaves", "detach-clears",
                        test_group_leaves);
    qtest_add_data_func("spapr-vfio/group/leaves-old-host",
                        "no-detach-clears", test_group_leaves);
    qtest_add_func("spapr-vfio/group/joins", test_group_joins);
    qtest_add_func("spapr-vfio/group/own-table", test_group_own_table);
    qtest_add_func("spapr-vfio/group/own-table-early",
                   test_group_own_table_early);
    qtest_add_func("spapr-vfio/dimm/C3-refused", test_dimm_refused);
    qtest_add_func("spapr-vfio/dimm/C3-refused-later",
                   test_dimm_refused_later);
    qtest_add_func("spapr-vfio/dimm/not-plugged", test_dimm_not_plugged);
    qtest_add_func("spapr-vfio/dimm/gone", test_dimm_gone);
    qtest_add_func("spapr-vfio/dimm/alias", test_dimm_alias);
    qtest_add_func("spapr-vfio/dimm/C10-small-pages", test_dimm_small_pages);
    qtest_add_func("spapr-vfio/ram/C1-freed", test_ram_freed);
    qtest_add_func("spapr-vfio/ram/C5-small", test_ram_small);
    qtest_add_func("spapr-vfio/ram/C5-less-than-page",
                   test_ram_less_than_page);
    qtest_add_func("spapr-vfio/ram/permissions", test_ram_permissions);
    qtest_add_func("spapr-vfio/ram/of-device", test_ram_of_device);
    qtest_add_func("spapr-vfio/ram/in-pieces", test_ram_in_pieces);
    qtest_add_func("spapr-vfio/ram/C6-no-iommu", test_ram_iommu);
    qtest_add_func("spapr-vfio/ram/C21-no-discard", test_ram_discard);
    qtest_add_func("spapr-vfio/ram/leaves-mapped", test_ram_leaves_mapped);
    qtest_add_func("spapr-vfio/ram/refused", test_ram_refused);
    qtest_add_func("spapr-vfio/ram/refused-at-start",
                   test_ram_refused_at_start);
    qtest_add_func("spapr-vfio/host/page-sizes", test_host_page_sizes);
    qtest_add_func("spapr-vfio/host/keeps-default", test_host_keeps_default);
    qtest_add_func("spapr-vfio/host/levels-EINVAL", test_host_levels_einval);
    qtest_add_func("spapr-vfio/host/no-placeholder",
                   test_host_no_placeholder);
    qtest_add_func("spapr-vfio/host/places-unknown",
                   test_host_places_unknown);
    qtest_add_func("spapr-vfio/host/no-replay", test_host_no_replay);
    qtest_add_func("spapr-vfio/host/small-window", test_host_small_window);
    qtest_add_data_func("spapr-vfio/eeh/C22-one-container", VFIO1 VFIO2,
                        test_eeh);
    qtest_add_data_func("spapr-vfio/eeh/C22-two-containers",
                        VFIO1 VFIO2_V1, test_eeh);
    qtest_add_func("spapr-vfio/eeh/C22-refused", test_eeh_refused);
    qtest_add_func("spapr-vfio/eeh/absent", test_eeh_absent);
    qtest_add_func("spapr-vfio/other-machine", test_other_machine);
    return g_test_run();
}
