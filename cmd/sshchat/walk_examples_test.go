package main

// example is a line of one command, and what the walk has to know of it to try it.
//
// In its lines VICTIM stands for an account made for this example (for the outranked: an admin), ROOM for a room that
// everybody is in, NEW for a room of this example, WORD for a word that nothing else has, KEY and FP for a new key and its
// fingerprint, MINE for the ID of a message of whoever gives the line, and CAUGHT for the ID that the last line of before
// printed.
type example struct {
	line      string
	also      []string // other ways to give it, to those who are refused
	before    []string // by an admin, before anybody tries
	victim    []string // by VICTIM, before that
	first     []string // by the one who succeeds in the end
	after     []string // by an admin, in the end
	says      bool     // others see words of it
	said      bool     // and they come to ROOM, as fast as it lets them
	against   bool     // it acts against VICTIM
	lifts     bool     // it undoes what an admin did or made
	everybody bool     // who ignores the author sees them, too
	admins    bool     // an admin is who succeeds, though it takes no role
	see       []string // what an admin asks to see the change, which no file has
	unseen    string   // why neither files nor see have the change
	done      string   // the test in which it succeeds; empty: the walk
}

// examples is a line of every command, by name; "/" before the name of one for the chat alone.
var examples = map[string]example{
	"account delete":      {line: "account delete", done: "TestDeletingOnesAccount"},
	"alias":               {line: "alias hi WORD"},
	"allowlist add":       {line: "allowlist add VICTIM"},
	"allowlist list":      {line: "allowlist list"},
	"allowlist off":       {line: "allowlist off", before: []string{"allowlist on --yes"}},
	"allowlist on":        {line: "allowlist on --yes", after: []string{"allowlist off"}},
	"allowlist remove":    {line: "allowlist remove VICTIM", before: []string{"allowlist add VICTIM"}},
	"announce":            {line: "announce WORD", says: true, everybody: true, unseen: "it is on the screens of those who are connected"},
	"audit":               {line: "audit"},
	"away":                {line: "away WORD", says: true, see: []string{"whois carol"}},
	"back":                {line: "back", first: []string{"away out"}, see: []string{"whois carol"}},
	"backup":              {line: "backup"},
	"ban":                 {line: "ban VICTIM 1h WORD", says: true, against: true},
	"banned":              {line: "banned"},
	"/bell":               {line: "bell all"},
	"/color":              {line: "color teal"},
	"claim":               {line: "claim 0000", done: "TestConversations"},
	"/clear":              {line: "clear"},
	"delete":              {line: "delete CAUGHT", before: []string{"say ROOM hello"}, lifts: true, admins: true},
	"/deop":               {line: "deop VICTIM", before: []string{"user set-role VICTIM mod"}},
	"edit":                {line: "edit MINE WORD", says: true, said: true},
	"/edit":               {line: "edit WORD", says: true, said: true},
	"/edit-id":            {line: "edit-id MINE WORD", says: true, said: true},
	"/focus":              {line: "focus VICTIM"},
	"follow":              {line: "follow ROOM", done: "TestBotAnswersOnce"},
	"/go":                 {line: "go ROOM"},
	"head":                {line: "head ROOM"},
	"help":                {line: "help"},
	"history":             {line: "history ROOM"},
	"/history":            {line: "history 5"},
	"hostkey list":        {line: "hostkey list"},
	"hostkey records":     {line: "hostkey records"},
	"hostkey rotate":      {line: "hostkey rotate"},
	"identity":            {line: "identity", done: "TestPasswordUsersReadTheirHistory"},
	"ignore":              {line: "ignore VICTIM"},
	"inbox":               {line: "inbox"},
	"invite":              {line: "invite VICTIM NEW", first: []string{"join NEW", "room set-private NEW on"}, says: true},
	"invite create":       {line: "invite create"},
	"invite list":         {line: "invite list"},
	"invite revoke":       {line: "invite revoke CAUGHT", before: []string{"invite create --json"}},
	"join":                {line: "join NEW", says: true},
	"key add":             {line: "key add KEY"},
	"key list":            {line: "key list"},
	"key remove":          {line: "key remove FP", first: []string{"key add KEY"}},
	"key share":           {line: "key share", done: "TestLifeOfASharedPast"},
	"kick":                {line: "kick VICTIM ROOM WORD", victim: []string{"join ROOM"}, says: true, against: true},
	"/me":                 {line: "me WORD", says: true, said: true},
	"mentions":            {line: "mentions"},
	"mod":                 {line: "mod VICTIM ROOM", victim: []string{"join ROOM"}},
	"motd":                {line: "motd"},
	"motd set":            {line: "motd set WORD", also: []string{"motd set -"}, says: true},
	"/layout":             {line: "layout compact"},
	"/mouse":              {line: "mouse on"},
	"msg":                 {line: "msg VICTIM WORD", says: true},
	"mute":                {line: "mute VICTIM 1h WORD", says: true, against: true},
	"/op":                 {line: "op VICTIM"},
	"/pane":               {line: "pane on"},
	"part":                {line: "part NEW", first: []string{"join NEW"}},
	"passwd":              {line: "passwd", done: "TestPasswd"},
	"passwd recover":      {line: "passwd recover", done: "TestLifeOfAForgottenPassword"},
	"/query":              {line: "query VICTIM"},
	"pin":                 {line: "pin @VICTIM/1", first: []string{"msg VICTIM remember this"}},
	"pins":                {line: "pins ROOM"},
	"/quiet":              {line: "quiet on"},
	"/quit":               {line: "quit"},
	"react":               {line: "react CAUGHT 👍", before: []string{"say ROOM hello"}, says: true, said: true},
	"register":            {line: "register", done: "TestConversations"},
	"reload":              {line: "reload", unseen: "nothing was changed by hand"},
	"/reply":              {line: "reply WORD", says: true, done: "TestConversations"},
	"reply-to":            {line: "reply-to MINE WORD", says: true, said: true},
	"room create":         {line: "room create NEW", says: true},
	"room delete":         {line: "room delete NEW", before: []string{"room create NEW"}, lifts: true, admins: true},
	"room info":           {line: "room info ROOM"},
	"room list":           {line: "room list"},
	"room set-private":    {line: "room set-private NEW on", before: []string{"room create NEW"}},
	"rooms":               {line: "rooms"},
	"say":                 {line: "say ROOM WORD", says: true, said: true},
	"search":              {line: "search hello"},
	"sessions":            {line: "sessions"},
	"set":                 {line: "set bell off"},
	"/shrug":              {line: "shrug WORD", also: []string{"shrug"}, says: true, said: true},
	"slow":                {line: "slow NEW 10s", before: []string{"room create NEW"}},
	"sources forgive":     {line: "sources forgive 192.0.2.1", done: "TestConversations"},
	"sources list":        {line: "sources list"},
	"stats":               {line: "stats"},
	"/theme":              {line: "theme mono"},
	"/timestamp":          {line: "timestamp off"},
	"topic":               {line: "topic ROOM WORD", also: []string{"topic ROOM -"}, says: true, said: true},
	"totp disable":        {line: "totp disable", done: "TestSecondFactor"},
	"totp enable":         {line: "totp enable", done: "TestSecondFactor"},
	"/tz":                 {line: "tz UTC"},
	"/ui":                 {line: "ui plain"},
	"unban":               {line: "unban VICTIM", before: []string{"ban VICTIM"}, lifts: true},
	"unalias":             {line: "unalias hi", before: []string{"alias hi hello"}},
	"unignore":            {line: "unignore VICTIM", first: []string{"ignore VICTIM"}},
	"/unlock":             {line: "unlock", done: "TestUnlock"},
	"unpin":               {line: "unpin @VICTIM/1", first: []string{"msg VICTIM remember this", "pin @VICTIM/1"}},
	"unreact":             {line: "unreact CAUGHT 👍", before: []string{"say ROOM hello"}, first: []string{"react CAUGHT 👍"}},
	"/lock":               {line: "lock", done: "TestUnlock"},
	"unmod":               {line: "unmod VICTIM ROOM", victim: []string{"join ROOM"}, before: []string{"mod VICTIM ROOM"}, against: true},
	"unmute":              {line: "unmute VICTIM", before: []string{"mute VICTIM"}, lifts: true},
	"user add-key":        {line: "user add-key VICTIM KEY"},
	"user create":         {line: "user create WORD KEY"},
	"user delete":         {line: "user delete VICTIM --yes"},
	"user disable":        {line: "user disable VICTIM"},
	"user enable":         {line: "user enable VICTIM", before: []string{"user disable VICTIM"}},
	"user info":           {line: "user info VICTIM"},
	"user list":           {line: "user list"},
	"user remove-key":     {line: "user remove-key VICTIM FP", before: []string{"user add-key VICTIM KEY"}},
	"user reset-password": {line: "user reset-password VICTIM --yes"},
	"user set-role":       {line: "user set-role VICTIM mod"},
	"user unlock":         {line: "user unlock VICTIM", unseen: "no wrong password was tried"},
	"version":             {line: "version"},
	"who":                 {line: "who ROOM"},
	"whoami":              {line: "whoami"},
	"whois":               {line: "whois VICTIM"},

	"report":         {line: "report VICTIM WORD", says: true},
	"account export": {line: "account export"},
	"user export":    {line: "user export VICTIM"},
	"user import":    {line: "user import VICTIM -", done: "TestConversations"},

	"registration":         {line: "registration"},
	"registration closed":  {line: "registration closed", after: []string{"registration default"}},
	"registration default": {line: "registration default", before: []string{"registration closed"}},
	"registration invite":  {line: "registration invite", after: []string{"registration default"}},
	"registration open":    {line: "registration open", after: []string{"registration default"}},
}
