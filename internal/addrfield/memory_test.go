package addrfield

import "testing"

// Each message has a few fields with addresses, of which most are whole.
func TestAWholeAddressTakesLittleMemory(t *testing.T) {
	form := Form{Origin: "mail.example.test", Domain: "example.test"}
	if n := testing.AllocsPerRun(100, func() { form.Standard("bob@example.test") }); n > 0 {
		t.Errorf("an address in its standard form takes %v pieces of memory", n)
	}
	n := testing.AllocsPerRun(100, func() {
		l, _ := Parse(` "Bob Doe" <bob@example.test>`, many)
		if l.Rewrite(form.Standard) {
			t.Error("it was rewritten")
		}
	})
	if n > 6 {
		t.Errorf("a field in which nothing changes takes %v pieces of memory", n)
	}
}

// FuzzStandard: what is taken for a standard form at a glance is one when it is taken apart.
func FuzzStandard(f *testing.F) {
	for _, s := range []string{"a@b.c", "a.b@c.d", "a@b", ".a@b.c", "a.@b.c", "a@b.c.", "a@.b.c", "a@b..c", "a@b@c.d", "a%b@c.d", "a!b@c.d", "\"a\"@b.c", "é@ü.ß", "a b@c.d", "a@b.\x7f", "@a.b:c@d.e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, a string) {
		if !isStandard(a) {
			return
		}
		for _, form := range []Form{{}, {Origin: "o.test", Domain: "d.test", SwapBangpath: true, PercentHack: true}} {
			if is := form.standard(a); is != a {
				t.Fatalf("%q is %q", a, is)
			}
		}
	})
}
