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

# until_line TEXT: store what the monitor says until TEXT is in a line of it
until_line() {
    while read -r line; do
        echo "$line" >> /out/monitor
        case $line in *"$1"*) return ;; esac
    done
    return 1
}

# When the guest has ended, ask its QEMU for the DMA windows and what they map,
# and let it end, too.  Its answers go to /out/monitor.
look() {
    echo "{'execute': 'qmp_capabilities'}"
    until_line '"event": "SHUTDOWN"' || return
    echo "{'execute': 'query-spapr-dma', 'id': 'view'," \
         "'arguments': {'count-kvm': true}}"
    until_line '"id": "view"' || return
    # The default window, and the one after it
    for liobn in 2147483648 2147483649; do
        index=0
        while test -n "$index"; do
            echo "{'execute': 'query-spapr-dma-runs', 'id': $liobn," \
                 "'arguments': {'liobn': $liobn, 'index': $index}}"
            until_line "\"id\": $liobn" || return
            index=
            case $line in
            *'"next": '*)
                index=${line##*'"next": '}
                index=${index%%[!0-9]*} ;;
            esac
        done
    done
    echo "{'execute': 'quit'}"
}

# guest ACCEL DEVICE-OPTION...: boot a guest with its kernel and initramfs
# from /in.  Its console goes to /out/guest and to stdout, with trace events in
# between if there are options for some.  Returns the exit status of QEMU.
#
# GUEST_RAM     option -m, GUEST_DISKS how many disks it waits for
# GUEST_APPEND  more of the kernel command line
# GUEST_INPUT   what is typed at its console
# GUEST_PRELOAD library that comes between QEMU and the host
guest() {
    accel=$1
    shift
    set -- -L /qemu -cpu power9 -m "${GUEST_RAM:-1G}" -smp 1 -accel "$accel" \
        -nodefaults -display none -serial stdio -no-reboot -no-shutdown \
        -chardev pipe,id=look,path=/tmp/look -mon look,mode=control \
        -kernel /in/vmlinux -initrd /in/guest-initrd \
        -append "console=hvc0 $own_pages guest.disks=${GUEST_DISKS:-1} $GUEST_APPEND" "$@"
    case $accel in
    kvm)  # what an emulated POWER9 cannot promise about speculation
        set -- -M pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off \
            "$@" ;;
    *)  set -- -M pseries,x-vof=on "$@" ;;
    esac
    mkdir -p /tmp
    mkfifo /tmp/look.in /tmp/look.out
    look < /tmp/look.out > /tmp/look.in &
    { LD_PRELOAD=$GUEST_PRELOAD /qemu/qemu-system-ppc64 "$@" < "${GUEST_INPUT:-/dev/null}" 2>&1
      echo "HOST qemu $?"; } | tee /out/guest
    test "$(sed -n 's/^HOST qemu //p' /out/guest)" = 0
}
