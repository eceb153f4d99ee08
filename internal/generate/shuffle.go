package generate

import "math/bits"

// mix scrambles a number (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// random is a SplitMix64 generator.
type random uint64

// seeded returns the generator that belongs to these numbers.
func seeded(numbers ...uint64) random {
	var x uint64
	for _, n := range numbers {
		x = mix(x + n + 0x9e3779b97f4a7c15)
	}
	return random(x)
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// below returns a number from 0 to n-1.
func (r *random) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.next(), n)
	return high
}

// percent reports whether a random number is below n percent.
func (r *random) percent(n uint64) bool { return r.below(100) < n }

// shuffle permutes the numbers from 0 to n-1 without storing the permutation: a Feistel network
// over the next even number of bits, repeated until the result is below n.
type shuffle struct {
	n, mask uint64
	half    int
	keys    [4]uint64
}

func newShuffle(n uint64, r random) shuffle {
	s := shuffle{n: n, half: max(1, (bits.Len64(n)+1)/2)}
	s.mask = 1<<s.half - 1
	for i := range s.keys {
		s.keys[i] = r.next()
	}
	return s
}

// at returns the number at position i.
func (s *shuffle) at(i uint64) uint64 {
	for {
		left, right := i>>s.half, i&s.mask
		for _, key := range s.keys {
			left, right = right, left^(mix(right+key)&s.mask)
		}
		if i = left<<s.half | right; i < s.n {
			return i
		}
	}
}

// place returns the position of a number: the inverse of at.
func (s *shuffle) place(v uint64) uint64 {
	for {
		left, right := v>>s.half, v&s.mask
		for k := len(s.keys) - 1; k >= 0; k-- {
			left, right = right^(mix(left+s.keys[k])&s.mask), left
		}
		if v = left<<s.half | right; v < s.n {
			return v
		}
	}
}
