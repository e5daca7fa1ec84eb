package msgpack

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// maxDate is the last millisecond a JavaScript Date can hold, either side of 1970.
const maxDate = 8_640_000_000_000_000

// dateLayout is how JSON.stringify writes a Date of the years 0 to 9999.
const dateLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends a time as msgpack's timestamp, in the shortest of its forms.
func AppendTime(dst []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), uint32(t.Nanosecond())
	switch {
	case sec>>34 != 0: // before 1970 too
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), nsec)
		return binary.BigEndian.AppendUint64(dst, uint64(sec))
	case nsec != 0 || sec>>32 != 0:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), uint64(nsec)<<34|uint64(sec))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(sec))
}

// appendTimestamp writes msgpack's timestamp (extension -1, in its forms of 4, 8 and 12 bytes) as
// JSON.stringify writes the Date that it becomes in Node.
func appendTimestamp(dst, data []byte) []byte {
	var sec, nsec int64
	switch len(data) {
	case 4:
		sec = int64(binary.BigEndian.Uint32(data))
	case 8:
		u := binary.BigEndian.Uint64(data)
		sec, nsec = int64(u&(1<<34-1)), int64(u>>34)
	case 12:
		nsec, sec = int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint64(data[4:]))
	default:
		return append(dst, "null"...)
	}
	if sec > maxDate/1000 || sec < -maxDate/1000-1 {
		return append(dst, "null"...)
	}
	ms := sec*1000 + nsec/1e6
	if ms < 0 && nsec%1e6 != 0 {
		ms++ // a Date drops the fraction towards zero
	}
	return appendDate(dst, ms)
}

// appendDate writes milliseconds since 1970 as Date.prototype.toJSON does: with a sign and six
// digits outside the years 0 to 9999, null outside what a Date can hold.
func appendDate(dst []byte, ms int64) []byte {
	if ms > maxDate || ms < -maxDate {
		return append(dst, "null"...)
	}
	t := time.UnixMilli(ms).UTC()
	dst = append(dst, '"')
	switch y := t.Year(); {
	case y < 0:
		dst = appendPadded(append(dst, '-'), -y, 6)
	case y > 9999:
		dst = appendPadded(append(dst, '+'), y, 6)
	default:
		dst = appendPadded(dst, y, 4)
	}
	return t.AppendFormat(dst, `-01-02T15:04:05.000Z"`)
}

// appendPadded writes n with zeros in front, in at least width digits.
func appendPadded(dst []byte, n, width int) []byte {
	from := len(dst)
	dst = strconv.AppendInt(dst, int64(n), 10)
	for len(dst)-from < width {
		dst = slices.Insert(dst, from, '0')
	}
	return dst
}
