/*
 * sPAPR DMA windows with devices of the host: what the qtests of them share
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
#include "spapr-vfio-common.h"

/* Registers of the DMA engine, in BAR 0 */
enum {
    ENGINE_SOURCE = 4,
    ENGINE_DESTINATION = 12,
    ENGINE_LENGTH = 20,
    ENGINE_DIRECTION = 24,
    ENGINE_DOORBELL = 28,
    ENGINE_RESULT = 32,
};

static void test_no_model(void)
{
    g_test_skip("set VFIO_MODEL to the command vfio-model");
}

void vfio_test_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    if (!getenv("VFIO_MODEL")) {
        qtest_add_func("spapr-vfio/skipped", test_no_model);
        exit(g_test_run());
    }
}

/* Start and stop */

char *vfio_make_dir(void)
{
    char *dir = g_dir_make_tmp("spapr-vfio-XXXXXX", NULL);

    g_assert(dir);
    return dir;
}

VfioTest *vfio_boot_under(const char *wrapper, const char *topology,
                          const char *quirk, const char *options)
{
    VfioTest *v = g_new0(VfioTest, 1);
    g_autofree char *qemu = NULL;

    v->dir = vfio_make_dir();
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

VfioTest *vfio_boot(const char *topology, const char *quirk,
                    const char *options)
{
    return vfio_boot_under("", topology, quirk, options);
}

const char *vfio_unprivileged(void)
{
    return geteuid() ? "" :
           "setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock ";
}

char *vfio_start(const char *wrapper, const char *topology,
                 const char *options, int *status)
{
    g_autofree char *dir = vfio_make_dir();
    g_autofree char *path = g_build_filename(dir, "topology", NULL);
    g_autofree char *run = g_strdup_printf("echo quit | %s%s run --topology %s"
        " -- %s -accel qtest -display none -machine pseries,x-vof=on"
        " -m 256M,slots=4,maxmem=1G -nodefaults -S -monitor stdio %s",
        wrapper, getenv("VFIO_MODEL"), path, getenv("QTEST_QEMU_BINARY"),
        options);
    char *shell[] = { (char *)"sh", (char *)"-c", run, NULL };
    char *said;

    g_assert(g_file_set_contents(path, topology, -1, NULL));
    g_assert_true(g_spawn_sync(NULL, shell, NULL, G_SPAWN_SEARCH_PATH |
                               G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                               &said, status, NULL));
    unlink(path);
    rmdir(dir);
    g_test_message("%s", said);
    return said;
}

void vfio_assert_not_started(const char *topology, const char *options,
                             const char *text)
{
    int status;
    g_autofree char *said = vfio_start("", topology, options, &status);

    g_assert_cmpint(status, !=, 0);
    g_assert_nonnull(strstr(said, text));
}

VfioTest *vfio_boot_pages(unsigned page, const char *topology,
                          const char *options)
{
    g_autofree char *beside = g_path_get_dirname(getenv("VFIO_MODEL"));
    g_autofree char *wrapper = g_strdup_printf(
        "%senv LD_PRELOAD=%s/libhost-pages.so HOST_PAGE=%u HUGE_PAGE=%u ",
        vfio_unprivileged(), beside, page, 2 * (unsigned)MiB);

    return vfio_boot_under(wrapper, topology, NULL, options);
}

VfioHugeRam vfio_huge_ram_new(const char *devices)
{
    VfioHugeRam ram = { .dir = vfio_make_dir() };

    ram.path = g_build_filename(ram.dir, "ram.huge", NULL);
    ram.options = g_strdup_printf("-object memory-backend-file,id=huge,"
                                  "size=256M,share=on,mem-path=%s "
                                  "-machine memory-backend=huge %s", ram.path,
                                  devices);
    return ram;
}

void vfio_huge_ram_free(VfioHugeRam *ram)
{
    g_assert_cmpint(unlink(ram->path), ==, 0);
    g_assert_cmpint(rmdir(ram->dir), ==, 0);
    g_free(ram->options);
    g_free(ram->path);
    g_free(ram->dir);
}

unsigned vfio_log_count(VfioTest *v, const char *text)
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

void vfio_quit(VfioTest *v)
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

/* The host */

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

void vfio_fault(VfioTest *v, const char *rule)
{
    g_autofree char *answer = vfio_ctl(v, "fault", rule);

    g_assert_cmpstr(answer, ==, "ok\n");
}

void vfio_no_fault(VfioTest *v)
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

void vfio_assert_host(VfioTest *v, const char *expected)
{
    QDict *ledger = vfio_ledger(v);
    QDict *live = qdict_get_qdict(ledger, "live");
    const QListEntry *entry;
    g_autoptr(GString) found = g_string_new("");

    QLIST_FOREACH_ENTRY(qdict_get_qlist(live, "containers"), entry) {
        append_container(found, qobject_to(QDict, qlist_entry_obj(entry)));
    }
    g_assert_cmpstr(found->str, ==, expected);
    qobject_unref(ledger);
}

/* How often a call gave other results than @but */
static unsigned count_results(VfioTest *v, const char *call, const char *but)
{
    QDict *ledger = vfio_ledger(v);
    QDict *results = qdict_get_qdict(qdict_get_qdict(ledger, "calls"), call);
    const QDictEntry *entry;
    unsigned count = 0;

    for (entry = results ? qdict_first(results) : NULL; entry;
         entry = qdict_next(results, entry)) {
        if (strcmp(qdict_entry_key(entry), but)) {
            count += qnum_get_int(qobject_to(QNum, qdict_entry_value(entry)));
        }
    }
    qobject_unref(ledger);
    return count;
}

unsigned vfio_calls(VfioTest *v, const char *call)
{
    return count_results(v, call, "");
}

unsigned vfio_refused(VfioTest *v, const char *call)
{
    return count_results(v, call, "ok");
}

/* The sum of one number of all that is alive in a list of the ledger */
static uint64_t sum_live(VfioTest *v, const char *list, const char *number)
{
    QDict *ledger = vfio_ledger(v);
    QDict *live = qdict_get_qdict(ledger, "live");
    const QListEntry *entry;
    uint64_t sum = 0;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(live, list), entry) {
        sum += qdict_get_int(qobject_to(QDict, qlist_entry_obj(entry)),
                             number);
    }
    qobject_unref(ledger);
    return sum;
}

unsigned vfio_number(VfioTest *v, const char *name)
{
    QDict *ledger = vfio_ledger(v);
    unsigned number = qdict_get_int(ledger, name);

    qobject_unref(ledger);
    return number;
}

unsigned vfio_mappings(VfioTest *v)
{
    return sum_live(v, "containers", "mappings");
}

unsigned vfio_regions(VfioTest *v)
{
    QDict *ledger = vfio_ledger(v);
    QDict *live = qdict_get_qdict(ledger, "live");
    unsigned count = qlist_size(qdict_get_qlist(live, "regions"));

    qobject_unref(ledger);
    return count;
}

uint64_t vfio_locked(VfioTest *v)
{
    QDict *ledger = vfio_ledger(v);
    uint64_t bytes = qdict_get_int(qdict_get_qdict(ledger, "live"),
                                   "locked_bytes");

    qobject_unref(ledger);
    return bytes;
}

uint64_t vfio_registered(VfioTest *v)
{
    return sum_live(v, "regions", "size");
}

/* The machine */

/* device_add with arguments in JSON; returns the answer */
static QDict *device_add(VfioTest *v, const char *json)
{
    return qtest_qmp(v->t->qts, "{'execute': 'device_add',"
                     " 'arguments': %p }",
                     qobject_from_json(json, &error_abort));
}

void vfio_assert_plugged(VfioTest *v, const char *json)
{
    QDict *answer = device_add(v, json);

    g_assert(qdict_haskey(answer, "return"));
    qobject_unref(answer);
}

void vfio_assert_not_plugged(VfioTest *v, const char *json,
                             const char *text)
{
    QDict *answer = device_add(v, json);

    g_assert(qdict_haskey(answer, "error"));
    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(answer, "error"),
                                          "desc"), text));
    qobject_unref(answer);
}

void vfio_unplug(VfioTest *v, const char *id, unsigned slot)
{
    uint32_t stopped[] = { 9001, 0x40000000 | slot << 3, 0 };
    uint32_t ret[8];

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'device_del',"
                             " 'arguments': { 'id': %s } }", id);
    g_assert_cmpint(spapr_rtas(v->t, "set-indicator", 3, stopped, 1, ret), ==,
                    RTAS_OK);
    qtest_qmp_eventwait(v->t->qts, "DEVICE_DELETED");
}

void vfio_show(VfioTest *v, const char *id, bool shown)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'qom-set',"
                             " 'arguments': { 'path': %s,"
                             " 'property': 'shown', 'value': %i } }", path,
                             shown);
}

SpaprDdwWindow vfio_create(VfioTest *v, uint32_t page_shift,
                           uint32_t window_shift, uint64_t addr)
{
    SpaprDdwWindow w = spapr_ddw_create(v->t, page_shift, window_shift);

    g_assert_cmpint(w.status, ==, RTAS_OK);
    g_assert_cmphex(w.addr, ==, addr);
    return w;
}

void vfio_put(VfioTest *v, uint32_t liobn, uint64_t ioba, uint64_t tce,
              int64_t status)
{
    g_assert_cmpint(spapr_put_tce(v->t, liobn, ioba, tce), ==, status);
}

/* DMA of a device */

static void engine_write64(QPCIDevice *dev, QPCIBar bar, unsigned offset,
                           uint64_t value)
{
    qpci_io_writel(dev, bar, offset, value);
    qpci_io_writel(dev, bar, offset + 4, value >> 32);
}

uint32_t vfio_dma_copy(VfioTest *v, unsigned slot, uint64_t from, uint64_t to)
{
    QPCIBus *bus = qpci_new_spapr(v->t->qts, &v->t->alloc);
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

void vfio_assert_dma(VfioTest *v, unsigned slot, uint64_t bus, uint64_t gpa)
{
    uint8_t data[PAGE], found[PAGE];

    for (unsigned i = 0; i < PAGE; i++) {
        data[i] = i * 7 + slot;
    }
    qtest_memwrite(v->t->qts, gpa, data, PAGE);
    qtest_memset(v->t->qts, gpa + PAGE, 0, PAGE);
    g_assert_cmpuint(vfio_dma_copy(v, slot, bus, bus + PAGE), ==, RESULT_OK);
    qtest_memread(v->t->qts, gpa + PAGE, found, PAGE);
    g_assert_cmpmem(data, PAGE, found, PAGE);
}
