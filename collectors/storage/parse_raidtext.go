package storage

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
)

var (
	megaHead  = regexp.MustCompile(`(?m)^\s*(Adapter #?\d|BBU status for Adapter|Virtual (Drive|Disk):|Exit Code:)`)
	megaField = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z' ().]*?)\s*:\s*(.*)$`)
)

// ParseMegaCli reads MegaCli -LDInfo, -PDList and -AdpBbuCmd -GetBbuStatus, alone or one
// after the other (MegaRAID SAS Software User Guide).
func ParseMegaCli(out []byte) ([]evidence.StorageDevice, error) {
	m := megacli{adapter: "a0"}
	return raidLines("MegaCli", out, megaHead, m.line)
}

type megacli struct{ adapter, enclosure, slot, level string }

var (
	megaAdapter = regexp.MustCompile(`^(?:Adapter #?|BBU status for Adapter: )(\d+)`)
	megaVolume  = regexp.MustCompile(`^Virtual (?:Drive|Disk):\s*(\d+)`)
)

func (m *megacli) line(line string, last *evidence.StorageDevice) (evidence.StorageDevice, bool) {
	none := evidence.StorageDevice{}
	if a := megaAdapter.FindStringSubmatch(line); a != nil {
		m.adapter = "a" + a[1]
		return none, false
	}
	if v := megaVolume.FindStringSubmatch(line); v != nil {
		m.slot = "v" + v[1]
		return none, false
	}
	f := megaField.FindStringSubmatch(line)
	if f == nil {
		return none, false
	}
	switch key, value := f[1], f[2]; key {
	case "Enclosure Device ID":
		m.enclosure = value
	case "Slot Number":
		m.slot = value
	case "RAID Level":
		m.level = strings.ToLower(strings.SplitN(value, ",", 2)[0])
	case "State":
		return raidOf(evidence.StorageArray, m.adapter+" "+m.slot, m.level, value), true
	case "Firmware state":
		return raidOf(evidence.StorageDisk, m.adapter+" "+m.enclosure+":"+m.slot, "raid", value), true
	case "Battery State":
		return raidOf(evidence.StorageController, m.adapter+" battery", "battery", value), true
	case "Battery Replacement required", "Battery Pack Missing", "Remaining Capacity Low":
		if last != nil && last.Kind == evidence.StorageController && value == "Yes" {
			worse(last, evidence.StorageWorn)
		}
	case "Drive has flagged a S.M.A.R.T alert":
		if last != nil && last.Kind == evidence.StorageDisk && value == "Yes" {
			worse(last, evidence.StorageFailing)
		}
	}
	return none, false
}

var (
	ssaHead    = regexp.MustCompile(`(?m)^\s*(Smart (Array|HBA)|HP[E]? |MSA\d+|Microsemi|.* in Slot \d)`)
	ssaSlot    = regexp.MustCompile(`^\s*\S.* in (?:Slot (\S+)|(\S.*))`)
	ssaLogical = regexp.MustCompile(`^\s+logicaldrive (\d+) \((?:[^,]*, )?(RAID [^,]+), ([^,)]+)`)
	ssaDisk    = regexp.MustCompile(`^\s+physicaldrive (\S+) \(.*, ([^,)]+)(?:, (?:active )?spare[^)]*)?\)`)
	ssaArray   = regexp.MustCompile(`^\s+array ([A-Z]+)(?: \(([^,)]+)\))?`)
	ssaStatus  = regexp.MustCompile(`^\s+(Controller|Cache|Battery/Capacitor) Status: (.+)$`)
	ssaDetail  = regexp.MustCompile(`^\s+(Logical Drive|physicaldrive|Status): ?(.*)$`)
)

// ParseSsacli reads ssacli, hpssacli and hpacucli: ctrl all show status, show config,
// show config detail (HPE Smart Storage Administrator user guide).
func ParseSsacli(out []byte) ([]evidence.StorageDevice, error) {
	slot, item := "slot 0", ""
	return raidLines("ssacli", out, ssaHead, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		if m := ssaLogical.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageArray, slot+" ld "+m[1], strings.ToLower(m[2]), m[3]), true
		}
		if m := ssaDisk.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageDisk, slot+" "+m[1], "raid", m[2]), true
		}
		if m := ssaStatus.FindStringSubmatch(line); m != nil {
			item = ""
			if strings.HasPrefix(m[2], "Not Configured") || strings.HasPrefix(m[2], "Not Present") {
				return evidence.StorageDevice{}, false
			}
			d := raidOf(evidence.StorageController, slot+" "+strings.ToLower(m[1]), "raid", m[2])
			return d, true
		}
		if m := ssaArray.FindStringSubmatch(line); m != nil && m[2] != "" {
			return raidOf(evidence.StorageArray, slot+" array "+m[1], "raid", m[2]), true
		}
		if m := ssaDetail.FindStringSubmatch(line); m != nil {
			switch {
			case m[1] == "Logical Drive":
				item = evidence.StorageArray + " " + slot + " ld " + m[2]
			case m[1] == "Status" && item != "":
				kind, name, _ := strings.Cut(item, " ")
				item = ""
				return raidOf(kind, name, "raid", m[2]), true
			}
			return evidence.StorageDevice{}, false
		}
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "physicaldrive "); ok && !strings.ContainsAny(name, " (") {
			item = evidence.StorageDisk + " " + slot + " " + name
			return evidence.StorageDevice{}, false
		}
		if m := ssaSlot.FindStringSubmatch(line); m != nil && !strings.Contains(line, ":") {
			slot = strings.TrimSpace("slot " + m[1] + m[2])
		}
		return evidence.StorageDevice{}, false
	})
}

var (
	arcHead   = regexp.MustCompile(`(?m)^(Controllers found: \d|Controller information|Logical (device|drive) information|Physical Device information|Command completed)`)
	arcVolume = regexp.MustCompile(`^Logical (?:device|Device|drive|Drive) number (\d+)`)
	arcDevice = regexp.MustCompile(`^\s+Device #(\d+)`)
	arcField  = regexp.MustCompile(`^\s+(.*?)\s+: (.*)$`)
)

// ParseArcconf reads arcconf getconfig (Adaptec and Microchip, ARCCONF user's guide).
func ParseArcconf(out []byte) ([]evidence.StorageDevice, error) {
	volume, device, disk, battery := "", "", false, false
	return raidLines("arcconf getconfig", out, arcHead, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		none := evidence.StorageDevice{}
		low := strings.ToLower(line)
		if m := arcVolume.FindStringSubmatch(line); m != nil {
			volume, device = m[1], ""
			return none, false
		}
		if m := arcDevice.FindStringSubmatch(line); m != nil {
			device, disk = m[1], false
			return none, false
		}
		if strings.Contains(low, "device is a hard drive") || strings.Contains(low, "device is an ssd") {
			disk = true
		}
		if strings.Contains(low, "battery information") || strings.Contains(low, "zmm information") || strings.Contains(low, "cache backup unit") || strings.Contains(low, "controller battery") {
			battery = true
		}
		m := arcField.FindStringSubmatch(line)
		if m == nil {
			return none, false
		}
		switch key := strings.ToLower(m[1]); {
		case key == "controller status":
			return raidOf(evidence.StorageController, "controller", "raid", m[2]), true
		case key == "status of logical device" || key == "status of logical drive":
			return raidOf(evidence.StorageArray, "ld "+volume, "raid", m[2]), true
		case key == "state" && disk && device != "":
			disk = false
			return raidOf(evidence.StorageDisk, "device "+device, "raid", m[2]), true
		case (key == "status" && battery || key == "overall backup unit status") && !strings.HasPrefix(strings.ToLower(m[2]), "not "):
			battery = false
			return raidOf(evidence.StorageController, "battery", "battery", m[2]), true
		}
		return none, false
	})
}

var (
	twHead = regexp.MustCompile(`(?m)^(Unit +UnitType|V?Port +Status|Name +OnlineState|Ctl +Model|Encl|/c\d+ |Fans|TempSensor|PowerSupply)`)
	twUnit = regexp.MustCompile(`^(u\d+(?:-\d+)*)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)`)
	twPort = regexp.MustCompile(`^(p\d+)\s+(\S+)\s+(u\d+|-)`)
	twBBU  = regexp.MustCompile(`^bbu\s+\S+\s+\S+\s+(\S+)`)
	twCtl  = regexp.MustCompile(`^c(\d+)\s+(\S+)\s+\d+\s+(\d+)\s+(\d+)\s+(\d+)\s`)
	twPart = regexp.MustCompile(`^((?:fan|temp|pw|slot)\d+)\s+(\S+)`)
)

// ParseTwCli reads tw_cli info, info cN unitstatus, drivestatus, bbustatus and
// /cN show all (3ware CLI guide).
func ParseTwCli(out []byte) ([]evidence.StorageDevice, error) {
	return raidLines("tw_cli", out, twHead, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		if m := twUnit.FindStringSubmatch(line); m != nil && m[2] != "DISK" {
			d := raidOf(evidence.StorageArray, m[1], strings.ToLower(m[2]), m[3])
			for _, share := range m[4:6] {
				if p, err := strconv.ParseFloat(strings.TrimRight(share, "%(AP)"), 64); err == nil && p >= 0 && p <= 100 && strings.Contains(share, "%") {
					d.Progress = &p
				}
			}
			return d, true
		}
		if m := twPort.FindStringSubmatch(line); m != nil && m[2] != "NOT-PRESENT" {
			return raidOf(evidence.StorageDisk, m[1], "raid", m[2]), true
		}
		if m := twBBU.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageController, "bbu", "battery", m[1]), true
		}
		if m := twCtl.FindStringSubmatch(line); m != nil {
			word := "ok"
			if m[5] != "0" {
				word = "degraded" // units that are not optimal
			}
			return raidOf(evidence.StorageController, "c"+m[1], "raid", word), true
		}
		if m := twPart.FindStringSubmatch(line); m != nil && m[2] != "NOT-REPORTABLE" && m[2] != "-" && m[2] != "N/A" && m[2] != "NO-DEVICE" && m[2] != "NOT-INSTALLED" {
			return raidOf(evidence.StorageController, m[1], "enclosure", m[2]), true
		}
		return evidence.StorageDevice{}, false
	})
}

var (
	ircuHead   = regexp.MustCompile(`LSI Corporation SAS|Avago Technologies SAS|SAS\dIRCU`)
	ircuVolume = regexp.MustCompile(`^IR [Vv]olume (\d+)`)
	ircuField  = regexp.MustCompile(`^\s*(Enclosure #|Slot #|RAID level|Status of volume|State)\s*:\s*(.+)$`)
)

// ParseSasIrcu reads sas2ircu and sas3ircu display (SAS-2 IR configuration utility guide).
func ParseSasIrcu(out []byte) ([]evidence.StorageDevice, error) {
	volume, level, enclosure, slot := "", "raid", "", ""
	return raidLines("sas2ircu display", out, ircuHead, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		if m := ircuVolume.FindStringSubmatch(line); m != nil {
			volume = m[1]
		}
		m := ircuField.FindStringSubmatch(line)
		if m == nil {
			return evidence.StorageDevice{}, false
		}
		switch m[1] {
		case "RAID level":
			level = strings.ToLower(m[2])
		case "Enclosure #":
			enclosure = strings.TrimSpace(m[2])
		case "Slot #":
			slot = strings.TrimSpace(m[2])
		case "Status of volume":
			return raidOf(evidence.StorageArray, "volume "+volume, level, m[2]), true
		case "State":
			return raidOf(evidence.StorageDisk, enclosure+":"+slot, "raid", m[2]), true
		}
		return evidence.StorageDevice{}, false
	})
}

var (
	mptLine   = regexp.MustCompile(`^(ioc\d+) (vol_id|phy) (\d+) .*state ([A-Z_ ]+),`)
	ccissLine = regexp.MustCompile(`^(/dev/\S+): \((.*?)\) (RAID \S+) Volume (\d+) status: ([^.]+)`)
	ccissDisk = regexp.MustCompile(`^\s+connector (\S+) +(box \d+ +)?bay (\d+) .*\s(OK|[A-Z][A-Za-z ]*)\s*$`)
)

// ParseMptStatus reads mpt-status -i ID (mpt-status(8)).
func ParseMptStatus(out []byte) ([]evidence.StorageDevice, error) {
	return raidLines("mpt-status", out, mptLine, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		m := mptLine.FindStringSubmatch(line)
		if m == nil {
			return evidence.StorageDevice{}, false
		}
		kind := map[string]string{"vol_id": evidence.StorageArray, "phy": evidence.StorageDisk}[m[2]]
		return raidOf(kind, m[1]+" "+m[2]+" "+m[3], "raid", m[4]), true
	})
}

// ParseCcissVolStatus reads cciss_vol_status, with -V too (cciss_vol_status(8)).
func ParseCcissVolStatus(out []byte) ([]evidence.StorageDevice, error) {
	return raidLines("cciss_vol_status", out, ccissLine, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		if m := ccissLine.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageArray, m[1]+" volume "+m[4], strings.ToLower(m[3]), m[5]), true
		}
		if m := ccissDisk.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageDisk, m[1]+":"+strings.TrimSpace(m[2])+":"+m[3], "raid", m[4]), true
		}
		return evidence.StorageDevice{}, false
	})
}

var (
	arecaHead = regexp.MustCompile(`GuiErrMsg<0x..>`)
	arecaRaid = regexp.MustCompile(`^\s*(\d+)\s+(\S.*?)\s+\d+\s+[\d.]+[GT]B\s+[\d.]+[GT]B\s+\S+\s+(\S.*?)\s*$`)
	arecaDisk = regexp.MustCompile(`^\s*(\d+)\s+\d+\s+(\S.*?)\s+[\d.]+[GT]B\s+(\S.*?)\s*$`)
	arecaSlot = regexp.MustCompile(`^\s*(\d+)\s+\d+\s+\S+(?: \S+)*\s+(\S.*?)\s+[\d.]+[GT]B\s+(\S.*?)\s*$`)
)

// ParseAreca reads cli64 rsf info and disk info (Areca CLI manual). The usage of a disk
// is its raid set's name, or a state of its own.
func ParseAreca(out []byte) ([]evidence.StorageDevice, error) {
	return raidLines("cli64", out, arecaHead, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		if m := arecaRaid.FindStringSubmatch(line); m != nil {
			return raidOf(evidence.StorageArray, "raid set "+m[1], "raid", m[3]), true
		}
		m := arecaDisk.FindStringSubmatch(line)
		if m == nil {
			m = arecaSlot.FindStringSubmatch(line)
		}
		if m == nil {
			return evidence.StorageDevice{}, false
		}
		d := raidOf(evidence.StorageDisk, "disk "+m[1], "raid", m[3])
		if d.State == evidence.StorageUnknown {
			d.State, d.Reasons = evidence.StorageOK, nil // the name of its raid set
		}
		return d, true
	})
}
