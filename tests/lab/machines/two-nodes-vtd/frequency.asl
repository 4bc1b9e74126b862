// Three frequencies for each CPU, which stock QEMU does not have: so acpi-cpufreq has something to govern.
DefinitionBlock ("", "SSDT", 2, "VMTUNE", "FREQ", 1)
{
    External (\_SB.CPUS.C000, DeviceObj)
    External (\_SB.CPUS.C001, DeviceObj)
    External (\_SB.CPUS.C002, DeviceObj)
    External (\_SB.CPUS.C003, DeviceObj)
    Method (PCTL, 0, NotSerialized) {
        Return (Package () {
            ResourceTemplate () { Register (SystemIO, 16, 0, 0x700) },
            ResourceTemplate () { Register (SystemIO, 16, 0, 0x700) }
        })
    }
    Method (STAT, 0, NotSerialized) {
        Return (Package () {
            Package () { 3000, 30000, 10, 10, 0, 0 },
            Package () { 2000, 20000, 10, 10, 1, 1 },
            Package () { 1000, 10000, 10, 10, 2, 2 }
        })
    }
    Scope (\_SB.CPUS.C000) {
        Method (_PCT) { Return (PCTL ()) }
        Method (_PSS) { Return (STAT ()) }
        Method (_PPC) { Return (0) }
        Name (_PSD, Package () { Package () { 5, 0, 0, 0xFD, 1 } })
    }
    Scope (\_SB.CPUS.C001) {
        Method (_PCT) { Return (PCTL ()) }
        Method (_PSS) { Return (STAT ()) }
        Method (_PPC) { Return (0) }
        Name (_PSD, Package () { Package () { 5, 0, 1, 0xFD, 1 } })
    }
    Scope (\_SB.CPUS.C002) {
        Method (_PCT) { Return (PCTL ()) }
        Method (_PSS) { Return (STAT ()) }
        Method (_PPC) { Return (0) }
        Name (_PSD, Package () { Package () { 5, 0, 2, 0xFD, 1 } })
    }
    Scope (\_SB.CPUS.C003) {
        Method (_PCT) { Return (PCTL ()) }
        Method (_PSS) { Return (STAT ()) }
        Method (_PPC) { Return (0) }
        Name (_PSD, Package () { Package () { 5, 0, 3, 0xFD, 1 } })
    }
}
