package mime

import "testing"

// TestHas8Bit: at each place of a text of each length, valid UTF-8 or not.
func TestHas8Bit(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte(i * 7 % 128)
		}
		if Has8Bit(text) {
			t.Errorf("%q is ASCII", text)
		}
		for i := range text {
			was := text[i]
			for _, c := range []byte{0x80, 0xa0, 0xc3, 0xff} {
				if text[i] = c; !Has8Bit(text) {
					t.Errorf("%q is not ASCII", text)
				}
			}
			text[i] = was
		}
	}
}
