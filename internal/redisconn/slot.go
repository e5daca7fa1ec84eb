package redisconn

import "strings"

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// slotOf returns the hash slot of a key or of a channel of sharded pub/sub (Redis Cluster
// specification, "Hash tags"). It hashes the text between the first { and the next }, unless that's
// empty, and otherwise the whole name.
func slotOf(name string) uint16 {
	if _, after, ok := strings.Cut(name, "{"); ok {
		if tag, _, closed := strings.Cut(after, "}"); closed && tag != "" {
			name = tag
		}
	}
	var crc uint16 // CRC-16/XMODEM
	for i := range len(name) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^name[i]]
	}
	return crc % slots
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()
