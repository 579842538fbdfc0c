package host

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseMountInfo reads /proc/PID/mountinfo (proc(5), proc_pid_mountinfo(5)).
func ParseMountInfo(data []byte) ([]Mount, error) {
	var mounts []Mount
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		// id, parent, device, root, path, options, tags …, "-", type, source, options
		dash := 6 + slices.Index(fields[min(6, len(fields)):], "-")
		if dash < 6 || len(fields) < dash+3 {
			return nil, fmt.Errorf("mountinfo, line %d: no dash with type, source and options behind it among %d fields", n, len(fields))
		}
		super := fields[len(fields)-1]
		mounts = append(mounts, Mount{
			Path: unescapeOctal(fields[4]), Type: fields[dash+1], Device: fields[2], Root: unescapeOctal(fields[3]),
			ReadOnly: slices.Contains(strings.Split(super, ","), "ro"),
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("mountinfo: %w", err)
	}
	return mounts, nil
}

// unescapeOctal undoes the kernel's \040 for space, tab, newline and backslash.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ParseBootTime finds btime in /proc/stat (proc_stat(5)), in seconds since 1970.
func ParseBootTime(data []byte) (time.Time, error) {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			s, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
			if err != nil || s <= 0 || s > 1<<40 {
				return time.Time{}, fmt.Errorf("boot time %q in /proc/stat", bytes.TrimSpace(rest))
			}
			return time.Unix(s, 0).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("no btime in /proc/stat")
}

// ParseNetDev sums the bytes received and sent of /proc/net/dev (proc_pid_net(5)).
// Left out are loopback and what passes other interfaces once more: bridges' and
// containers' ends, bonds, VLANs and tunnels.
func ParseNetDev(data []byte) (int64, error) {
	var sum int64
	seen := 0
	for line := range bytes.Lines(data) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if !ok || len(fields) < 16 {
			continue
		}
		received, err1 := strconv.ParseInt(string(fields[0]), 10, 64)
		sent, err2 := strconv.ParseInt(string(fields[8]), 10, 64)
		if err1 != nil || err2 != nil || received < 0 || sent < 0 {
			return 0, fmt.Errorf("counters %q and %q in /proc/net/dev", fields[0], fields[8])
		}
		seen++
		if !virtualInterface(string(bytes.TrimSpace(name))) {
			sum += received + sent
		}
	}
	if seen == 0 || sum < 0 {
		return 0, fmt.Errorf("/proc/net/dev names no interface")
	}
	return sum, nil
}

func virtualInterface(name string) bool {
	for _, prefix := range []string{"lo", "veth", "br-", "docker", "virbr", "vmbr", "tap", "fwbr", "fwln", "fwpr", "bond", "tun", "wg", "ifb", "dummy", "cali", "flannel", "cni"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.Contains(name, ".") // a VLAN
}

// ParseUptime reads the first figure of /proc/uptime (proc_uptime(5)).
func ParseUptime(data []byte) (time.Duration, error) {
	fields := bytes.Fields(data)
	if len(fields) == 0 {
		return 0, fmt.Errorf("/proc/uptime is empty")
	}
	s, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil || !(s >= 0 && s < 1<<32) {
		return 0, fmt.Errorf("uptime %q in /proc/uptime", fields[0])
	}
	return time.Duration(s * float64(time.Second)), nil
}
