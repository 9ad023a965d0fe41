// Package texttest has texts for tests.
package texttest

// Scripts are texts that terminals and editors get wrong.
var Scripts = []string{
	"hello", "grüße", "日本語のテキスト", "한국어", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷🇯🇵", "e\u0301a\u0308o\u0302\u0323", "नमस्ते दुनिया", "สวัสดีชาวโลก",
	"❤️ and ☺", "👍🏽👍🏿", "Tiếng Việt", "1️⃣2️⃣", "مرحبا", "\u0301 begins with a mark", "क्षत्रिय",
}
