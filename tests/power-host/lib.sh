# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scripts that run in the emulated POWER host; source it.  Facts are
# printed as lines that start with the word HOST.

# group ADDRESS: number of the IOMMU group of a PCI device
group() {
    basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

describe_host() {
    echo "HOST kernel $(uname -r)"
    for address in $DEVICES; do
        driver=$(readlink "/sys/bus/pci/devices/$address/driver")
        echo "HOST device $address group $(group "$address")" \
             "driver ${driver##*/}"
    done
}

# NVMe BARs are smaller than a 64 KiB page. Two of them in one page cannot be
# mapped into the guest, and a guest under KVM was seen to hang at such a one.
own_pages=pci=resource_alignment=16@pci:1b36:0010

# guest ACCEL DEVICE-OPTION...: boot a guest with its kernel and initramfs
# from /in.  Console and trace, in order, go to /out/guest and to stdout.
# Returns the exit status of QEMU.
#
# GUEST_RAM     option -m, GUEST_DISKS how many disks it waits for
# GUEST_APPEND  more of the kernel command line
# GUEST_INPUT   what is typed at its console
# GUEST_PRELOAD library that comes between QEMU and the host
guest() {
    accel=$1
    shift
    set -- -L /qemu -cpu power9 -m "${GUEST_RAM:-1G}" -smp 1 -accel "$accel" \
        -nodefaults -display none -serial stdio -no-reboot \
        -kernel /in/vmlinux -initrd /in/guest-initrd \
        -append "console=hvc0 $own_pages guest.disks=${GUEST_DISKS:-1} $GUEST_APPEND" \
        -trace 'spapr_iommu_pci_*' -trace 'spapr_iommu_ddw_*' \
        -trace 'spapr_dma_*' \
        -trace 'vfio_spapr_*' -trace 'vfio_prereg_*' "$@"
    case $accel in
    kvm)  # what an emulated POWER9 cannot promise about speculation
        set -- -M pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off \
            "$@" ;;
    *)  set -- -M pseries,x-vof=on "$@" ;;
    esac
    { LD_PRELOAD=$GUEST_PRELOAD /qemu/qemu-system-ppc64 "$@" < "${GUEST_INPUT:-/dev/null}" 2>&1
      echo "HOST qemu $?"; } | tee /out/guest
    test "$(sed -n 's/^HOST qemu //p' /out/guest)" = 0
}
