// Package number reads and prints numbers as JavaScript does. Whatever the text of a number is, it
// costs no more than some nanoseconds for each of its bytes: strconv takes 35 µs for one like
// 3e-324, of which a message of 1 MB holds 140,000.
//
// All functions may be called concurrently.
package number
