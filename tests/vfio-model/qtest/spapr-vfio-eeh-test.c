/*
 * EEH with several groups and containers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-spapr.h"
#include "spapr-vfio-common.h"

/* VFIO and PAPR: states of a PE */
enum {
    PE_NORMAL = 0,
    PE_RESET = 1,
    PE_STOPPED = 2,
    PE_STOPPED_DMA = 4,
    PE_UNAVAILABLE = 5,
};

#define BOTH    VFIO1 VFIO2_V1

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

static int32_t eeh_option_of(SpaprDmaTest *t, uint32_t addr, uint32_t option)
{
    uint32_t args[] = { addr, t->buid >> 32, t->buid, option };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,set-eeh-option", 4, args, 1, ret);
}

static int32_t eeh_option(SpaprDmaTest *t, uint32_t option)
{
    return eeh_option_of(t, 1, option);
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
        vfio_dma_copy(v, slot, 0, PAGE);
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
    VfioTest *v = vfio_boot(POWERNV TWO, "no-reset-normal", BOTH);
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

/* It is there only if every container has it */
static void test_absent_in_one(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, BOTH);
    uint32_t state;

    for (unsigned i = 1; i <= 2; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=check_extension,"
                                                "container=%u,errno=EINVAL",
                                                i);

        vfio_fault(v, rule);
        g_assert_cmpint(eeh_state(v->t, &state), ==, RTAS_PARAM_ERROR);
        g_assert_cmpint(eeh_option(v->t, 1), ==, RTAS_PARAM_ERROR);
        vfio_no_fault(v);
        assert_eeh_state(v->t, PE_NORMAL);
    }
    vfio_quit(v);
}

static void set_state(VfioTest *v, unsigned container, uint32_t state)
{
    g_autofree char *rule = g_strdup_printf("ioctl=eeh,container=%u,return=%u",
                                            container, state);

    if (state != PE_NORMAL) {
        vfio_fault(v, rule);
    }
}

/* Of two containers the one that is farther from working counts */
static void test_worst_state(void)
{
    static const uint32_t states[] = {
        PE_NORMAL, PE_RESET, PE_STOPPED_DMA, PE_STOPPED, PE_UNAVAILABLE,
    };
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, BOTH);

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(states); j++) {
            set_state(v, 1, states[i]);
            set_state(v, 2, states[j]);
            assert_eeh_state(v->t, states[MAX(i, j)]);
            vfio_no_fault(v);
        }
    }
    vfio_quit(v);
}

static void test_kinds_of_reset(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, BOTH);

    g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_OK);
    g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
    g_assert_cmpuint(vfio_number(v, "hot_resets"), ==, 2);
    g_assert_cmpuint(vfio_number(v, "fundamental_resets"), ==, 0);
    g_assert_cmpint(eeh_reset(v->t, 3), ==, RTAS_OK);
    g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
    g_assert_cmpuint(vfio_number(v, "hot_resets"), ==, 2);
    g_assert_cmpuint(vfio_number(v, "fundamental_resets"), ==, 2);
    vfio_quit(v);
}

/* What the last guest froze works for the next one */
static void test_machine_reset(const void *options)
{
    VfioTest *v = vfio_boot("host flavour=powernv freeze=on\n" TWO, NULL,
                            options);

    for (unsigned slot = 1; slot <= 2; slot++) {
        vfio_dma_copy(v, slot, 0, PAGE);
        assert_eeh_state(v->t, PE_STOPPED);
        qtest_system_reset(v->t->qts);
        assert_eeh_state(v->t, PE_NORMAL);
        vfio_put(v, LIOBN_DEFAULT, 0, 0x100000 | TCE_RW, H_SUCCESS);
        vfio_put(v, LIOBN_DEFAULT, PAGE, 0x101000 | TCE_RW, H_SUCCESS);
        vfio_assert_dma(v, slot, 0, 0x100000);
        qtest_system_reset(v->t->qts);
    }
    vfio_quit(v);
}

/*
 * Device 1 on the PHB's own bus, device 2 behind a bridge on bus 1
 */

#define BRIDGE          "-device pci-bridge,id=bridge,chassis_nr=1,addr=5.0 " \
                        "-device vfio-pci,id=vf2,bus=bridge,addr=2.0," \
                        "host=0001:02:00.0 "
#define BRIDGE_DEVFN    QPCI_DEVFN(5, 0)
/* libqos passes on all that is above a register as the guest would write it */
#define BUS1_DEVFN(dev) (1 << 8 | QPCI_DEVFN(dev, 0))
#define PE_OF_BUS(n)    ((n) << 16 | 1)

/* The engine interrupts after whatever it is told, also if that is nothing */
#define ENGINE_DOORBELL     28
#define ENGINE_INTERRUPT    40

static void test_bus(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, BRIDGE);

    g_assert_cmpint(eeh_option_of(v->t, PE_OF_BUS(1), 1), ==, RTAS_OK);
    g_assert_cmpint(eeh_option_of(v->t, BUS1_DEVFN(2) << 8, 1), ==, RTAS_OK);
    g_assert_cmpint(eeh_option_of(v->t, PE_OF_BUS(0), 1), ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option_of(v->t, PE_OF_BUS(2), 1), ==,
                    RTAS_PARAM_ERROR);
    vfio_quit(v);
}

/* Lets what is behind the bridge be reached */
static void open_bridge(QPCIBus *bus)
{
    QPCIDevice *bridge = qpci_device_find(bus, BRIDGE_DEVFN);

    g_assert_nonnull(bridge);
    qpci_config_writew(bridge, PCI_MEMORY_BASE, 0);
    qpci_config_writew(bridge, PCI_MEMORY_LIMIT, PCI_MEMORY_RANGE_MASK);
    qpci_config_writew(bridge, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_free(bridge);
}

/* Have vector 0 of MSI-X; the platform writes the table, not the guest */
static void use_vector(SpaprDmaTest *t, QPCIDevice *dev)
{
    uint32_t args[] = {
        dev->devfn << 8, t->buid >> 32, t->buid, 4 /* MSI-X */, 1, 1
    };
    uint32_t ret[8];

    g_assert_cmpint(spapr_rtas(t, "ibm,change-msi", 6, args, 4, ret), ==,
                    RTAS_OK);
    g_assert_cmpuint(ret[1], ==, 1);
    qpci_msix_enable(dev);
}

/* Returns how many interrupts of it the host delivers */
static unsigned ring(VfioTest *v, QPCIDevice *dev, QPCIBar engine)
{
    unsigned before = vfio_number(v, "interrupts");

    qpci_io_writel(dev, engine, ENGINE_INTERRUPT, 1);
    qpci_io_writel(dev, engine, ENGINE_DOORBELL, 1);
    return vfio_number(v, "interrupts") - before;
}

/* A device under reset forgets its MSI-X, and the host must know that */
static void test_msix(void)
{
    static const int devfns[] = { QPCI_DEVFN(1, 0), BUS1_DEVFN(2) };
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 BRIDGE);
    QPCIBus *bus = qpci_new_spapr(v->t->qts, &v->t->alloc);
    QPCIDevice *devs[ARRAY_SIZE(devfns)];
    QPCIBar engines[ARRAY_SIZE(devfns)];

    open_bridge(bus);
    for (unsigned i = 0; i < ARRAY_SIZE(devfns); i++) {
        devs[i] = qpci_device_find(bus, devfns[i]);
        g_assert_nonnull(devs[i]);
        qpci_config_writew(devs[i], PCI_COMMAND, PCI_COMMAND_MEMORY);
        engines[i] = qpci_iomap(devs[i], 0, NULL);
        g_assert_cmpuint(ring(v, devs[i], engines[i]), ==, 0);
        use_vector(v->t, devs[i]);
        g_assert_cmpuint(ring(v, devs[i], engines[i]), ==, 1);
    }

    g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_OK);
    g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(devfns); i++) {
        g_assert_cmpuint(ring(v, devs[i], engines[i]), ==, 0);
        qpci_msix_disable(devs[i]);
        use_vector(v->t, devs[i]);
        g_assert_cmpuint(ring(v, devs[i], engines[i]), ==, 1);
        g_free(devs[i]);
    }
    qpci_free_spapr(bus);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_data_func("spapr-vfio/eeh/C22-one-container", VFIO1 VFIO2,
                        test_eeh);
    qtest_add_data_func("spapr-vfio/eeh/C22-two-containers", BOTH, test_eeh);
    qtest_add_func("spapr-vfio/eeh/C22-refused", test_eeh_refused);
    qtest_add_func("spapr-vfio/eeh/absent", test_eeh_absent);
    qtest_add_func("spapr-vfio/eeh/absent-in-one", test_absent_in_one);
    qtest_add_func("spapr-vfio/eeh/worst-state", test_worst_state);
    qtest_add_func("spapr-vfio/eeh/kinds-of-reset", test_kinds_of_reset);
    qtest_add_data_func("spapr-vfio/eeh/machine-reset/one-container",
                        VFIO1 VFIO2, test_machine_reset);
    qtest_add_data_func("spapr-vfio/eeh/machine-reset/two-containers",
                        BOTH, test_machine_reset);
    qtest_add_func("spapr-vfio/eeh/bus", test_bus);
    qtest_add_func("spapr-vfio/eeh/msix", test_msix);
    return g_test_run();
}
