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

// megacli is what the lines before a state told of its device.
type megacli struct {
	adapter, enclosure, slot, level string
	media, predicted                int64 // sectors that could not be read, and predictions of failure
	writeBack                       bool  // the cache is meant to hold writes
}

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
	switch key, value := f[1], strings.TrimSpace(f[2]); key {
	case "BatteryType": // firmware of the first iBBU leaves "Battery state" empty: its flags tell
		return raidOf(evidence.StorageController, m.adapter+" battery", "battery", ""), true
	case "Enclosure Device ID":
		m.enclosure = value
	case "Slot Number":
		m.slot, m.media, m.predicted = value, 0, 0
	case "Media Error Count":
		m.media, _ = strconv.ParseInt(value, 10, 64)
	case "Predictive Failure Count":
		m.predicted, _ = strconv.ParseInt(value, 10, 64)
	case "Default Cache Policy":
		m.writeBack = strings.HasPrefix(value, "WriteBack")
	case "RAID Level":
		m.level = strings.ToLower(strings.SplitN(value, ",", 2)[0])
	case "State":
		return raidOf(evidence.StorageArray, m.adapter+" "+m.slot, m.level, value), true
	case "Firmware state":
		return m.disk(value), true
	case "Battery State":
		d := raidOf(evidence.StorageController, m.adapter+" battery", "battery", value)
		if last == nil || last.Kind != evidence.StorageController {
			return d, true
		}
		*last = d
	case "Current Cache Policy":
		if m.writeBack && strings.HasPrefix(value, "WriteThrough") && last != nil && last.Kind == evidence.StorageArray {
			worse(last, evidence.StorageWorn) // its battery does not carry the cache
		}
	default:
		megaSign(last, key, value)
	}
	return none, false
}

// disk makes a disk of its state and of the counts that stand before it.
func (m *megacli) disk(state string) evidence.StorageDevice {
	d := raidOf(evidence.StorageDisk, m.adapter+" "+m.enclosure+":"+m.slot, "raid", state)
	if m.predicted > 0 {
		worse(&d, evidence.StorageFailing)
	}
	if n := m.media; n > 0 {
		d.Uncorrectable = &n
		worse(&d, evidence.StorageBadSectors)
	}
	return d
}

// megaSign raises the device spoken of for a sign of trouble that follows its state.
func megaSign(last *evidence.StorageDevice, key, value string) {
	switch {
	case last == nil:
	case last.Kind == evidence.StorageController && (key == "Battery Replacement required" || key == "Battery Pack Missing" || key == "Remaining Capacity Low"):
		if last.State == evidence.StorageUnknown && (value == "Yes" || value == "No") {
			last.State, last.Reasons = evidence.StorageOK, nil
		}
		if value == "Yes" {
			worse(last, evidence.StorageWorn)
		}
	case last.Kind == evidence.StorageDisk && key == "Drive has flagged a S.M.A.R.T alert" && value == "Yes":
		worse(last, evidence.StorageFailing)
	}
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
		case key == "status" && battery || key == "overall backup unit status":
			battery = false
			word := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(m[2])), "zmm ")
			return raidOf(evidence.StorageController, "battery", "battery", word), !strings.HasPrefix(word, "not ")
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
	twPart = regexp.MustCompile(`^(/c\d+/e\d+|(?:fan|temp|pwr?s?|slot|alm)\d+)\s+([A-Z][A-Z-]*)\s`)
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
		if m := twPart.FindStringSubmatch(line + " "); m != nil {
			return twEnclosure(m[1], m[2])
		}
		return evidence.StorageDevice{}, false
	})
}

// twEnclosure reads a part of an enclosure, or the enclosure itself. An alarm that is on
// says that one of them is not as it should be.
func twEnclosure(name, word string) (evidence.StorageDevice, bool) {
	switch word {
	case "NOT-REPORTABLE", "N", "NO-DEVICE", "NOT-INSTALLED":
		return evidence.StorageDevice{}, false
	case "ALARM-ACTIVATED", "ACTIVATED":
		d := raidOf(evidence.StorageController, name, "enclosure", "ok")
		worse(&d, evidence.StorageFaulted)
		return d, true
	case "DEACTIVATED", "NOT-ACTIVATED":
		word = "ok"
	}
	return raidOf(evidence.StorageController, name, "enclosure", word), true
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
	mptLine   = regexp.MustCompile(`^ioc:?(\d+) (vol_id|phys?_?i?d?)[ :](\d+) .*state:? ([A-Z_ ]+?)(?:,| flags:)(.*)`)
	ccissLine = regexp.MustCompile(`^(/dev/\S+): \((.*?)\) (RAID \S+) Volume (\d+) status: ([^.]+)`)
	ccissBox  = regexp.MustCompile(`^(/dev/\S+): \(.*?\) Enclosure (\S+(?: \S+)*?)(?: \(S/N: [^)]*\))? on (Bus \d+), Physical Port (\S+) status: ([^.]+)`)
	ccissDisk = regexp.MustCompile(`^\s+connector (\S+) +(box \d+ +)?bay (\d+) .*\s(OK|[A-Z][A-Za-z ]*)\s*$`)
)

// ParseMptStatus reads mpt-status -i ID, with -n (for programs) too (mpt-status(8)).
func ParseMptStatus(out []byte) ([]evidence.StorageDevice, error) {
	return raidLines("mpt-status", out, mptLine, func(line string, _ *evidence.StorageDevice) (evidence.StorageDevice, bool) {
		m := mptLine.FindStringSubmatch(line)
		if m == nil {
			return evidence.StorageDevice{}, false
		}
		if m[2] == "vol_id" {
			return raidOf(evidence.StorageArray, "ioc"+m[1]+" vol_id "+m[3], "raid", m[4]), true
		}
		d := raidOf(evidence.StorageDisk, "ioc"+m[1]+" phy "+m[3], "raid", m[4])
		if d.State == evidence.StorageOK && strings.Contains(m[5], "OUT_OF_SYNC") {
			d.State = evidence.StorageRebuilding
		}
		return d, true
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
		if m := ccissBox.FindStringSubmatch(line); m != nil {
			d := raidOf(evidence.StorageController, m[1]+" enclosure "+m[4]+" "+m[3], "enclosure", m[5])
			if strings.HasSuffix(m[5], "problem") { // of a fan, the temperature, a power supply
				d.State = evidence.StorageWarning
			}
			return d, true
		}
		if word := strings.TrimSpace(line); word == "Write cache temporarily disabled" || word == "Write cache permanently disabled" {
			return raidOf(evidence.StorageController, "cache", "raid", strings.TrimPrefix(word, "Write cache ")), true
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
