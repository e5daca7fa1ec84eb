package http1

// FieldID names the fields that routers and workers act upon.
type FieldID uint8

const (
	FieldOther FieldID = iota
	FieldHost
	FieldContentLength
	FieldTransferEncoding
	FieldConnection
	FieldUpgrade
	FieldExpect
	FieldHop            // Keep-Alive, Proxy-*, TE, Trailer: between two neighbours
	FieldForwarded      // Forwarded, X-Forwarded-*, X-Real-IP: what proxies before us say
	FieldForwardedFor   // X-Forwarded-For
	FieldForwardedProto // X-Forwarded-Proto
	FieldForwardedHost  // X-Forwarded-Host
	FieldAcceptEncoding
	FieldOrigin
	FieldSidereal       // Sidereal-Client, Sidereal-Proto and whatever else begins so: what our own routers say
	FieldSiderealWorker // Sidereal-Worker
	FieldSiderealKey    // Sidereal-Key
)

// IDOf tells a field by its name, which is not empty.
func IDOf(n []byte) FieldID {
	switch len(n) {
	case 2:
		if EqualFold(n, "te") {
			return FieldHop
		}
	case 4:
		if EqualFold(n, "host") {
			return FieldHost
		}
	case 6:
		if EqualFold(n, "expect") {
			return FieldExpect
		}
		if EqualFold(n, "origin") {
			return FieldOrigin
		}
	case 7:
		if EqualFold(n, "upgrade") {
			return FieldUpgrade
		}
		if EqualFold(n, "trailer") {
			return FieldHop
		}
	case 9:
		if EqualFold(n, "forwarded") {
			return FieldForwarded
		}
		if EqualFold(n, "x-real-ip") {
			return FieldForwarded
		}
	case 10:
		if EqualFold(n, "connection") {
			return FieldConnection
		}
		if EqualFold(n, "keep-alive") {
			return FieldHop
		}
	case 14:
		if EqualFold(n, "content-length") {
			return FieldContentLength
		}
	case 15:
		if EqualFold(n, "accept-encoding") {
			return FieldAcceptEncoding
		}
	case 17:
		if EqualFold(n, "transfer-encoding") {
			return FieldTransferEncoding
		}
	}
	switch n[0] | 0x20 {
	case 'x':
		return forwardedField(n)
	case 'p':
		if HasPrefixFold(n, "proxy-") {
			return FieldHop
		}
	case 's':
		return siderealField(n)
	}
	return FieldOther
}

func forwardedField(n []byte) FieldID {
	switch {
	case !HasPrefixFold(n, "x-forwarded-"):
		return FieldOther
	case EqualFold(n, "x-forwarded-for"):
		return FieldForwardedFor
	case EqualFold(n, "x-forwarded-proto"):
		return FieldForwardedProto
	case EqualFold(n, "x-forwarded-host"):
		return FieldForwardedHost
	}
	return FieldForwarded
}

func siderealField(n []byte) FieldID {
	switch {
	case !HasPrefixFold(n, "sidereal-"):
		return FieldOther
	case EqualFold(n, "sidereal-worker"):
		return FieldSiderealWorker
	case EqualFold(n, "sidereal-key"):
		return FieldSiderealKey
	}
	return FieldSidereal
}

// EqualFold compares with a lower-case ASCII text. (bytes.EqualFold would take the Kelvin sign for
// a k.)
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// HasPrefixFold reports whether b begins with a lower-case ASCII text, in either case.
func HasPrefixFold(b []byte, lower string) bool {
	return len(b) >= len(lower) && EqualFold(b[:len(lower)], lower)
}
