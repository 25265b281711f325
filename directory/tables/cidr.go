package tables

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// parseCIDR reads cidr_table(5).
func parseCIDR(n name, s *source, l limits) (content, error) {
	t, err := parseRules(n, s, l, cutNetwork, func(text string, _ pattern[netip.Addr]) (template, error) {
		if len(text) > l.maxResult {
			return nil, fmt.Errorf("the text is longer than %d octets (tables.max_result)", l.maxResult)
		}
		return literal(text), nil
	})
	if err != nil {
		return nil, err
	}
	t.keyOf = func(key string) (netip.Addr, bool) {
		a, err := netip.ParseAddr(key)
		return a, err == nil && a.Zone() == ""
	}
	return t, nil
}

// cutNetwork reads the network at the start of a line, with any number of "!" before.
func cutNetwork(line string) (pattern[netip.Addr], error) {
	var p pattern[netip.Addr]
	line, negate := cutNegation(line)
	word, rest := cutWord(line)
	network, err := parseNetwork(word)
	if err != nil {
		return p, err
	}
	p.rest = rest
	// Also what is not in a network of IPv4 is an address of IPv4.
	p.test = func(_ context.Context, a netip.Addr) ([]int, bool, error) {
		return nil, a.BitLen() == network.Addr().BitLen() && network.Contains(a) != negate, nil
	}
	return p, nil
}

// cutNegation cuts off "!" and white space.
func cutNegation(line string) (rest string, negate bool) {
	for line != "" && (line[0] == '!' || isBlank(line[0])) {
		negate = negate != (line[0] == '!')
		line = line[1:]
	}
	return line, negate
}

// parseNetwork reads an address or a network, whose address or whole may stand in
// brackets.
func parseNetwork(word string) (netip.Prefix, error) {
	text := word
	if inner, ok := strings.CutPrefix(text, "["); ok {
		address, bits, closed := strings.Cut(inner, "]")
		if !closed || bits != "" && bits[0] != '/' {
			return netip.Prefix{}, fmt.Errorf("%q is no network: the bracket is not closed behind the address", brief(word))
		}
		text = address + bits
	}
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network", brief(word))
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, fmt.Errorf("%q is no network: expected address/bits", brief(word))
	}
	if masked := network.Masked(); masked != network {
		return network, fmt.Errorf("%q has bits set behind its prefix: is %s meant?", word, masked)
	}
	return network, nil
}
