package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sshchat/store/durable"
)

const liveName = "message_history.json"

// File is one file of a history, to be read from its beginning any number of times. It is open only while it is read.
type File struct {
	Name string // without its folder
	open func() (readerAtCloser, error)
	held io.Closer // nil, or what Close closes
	live bool      // it must be the one that is written to, or the {} that it begins as
	old  bool      // it is an archive that a server may delete meanwhile
}

type readerAtCloser interface {
	io.ReaderAt
	io.Closer
}

// Close closes the file. It must not be used afterwards.
func (f File) Close() error {
	if f.held == nil {
		return nil
	}
	return f.held.Close()
}

// FileAt is the file at path, which must be one that can be read more than once: no pipe.
func FileAt(path string) File {
	return File{Name: filepath.Base(path), open: func() (readerAtCloser, error) { return os.Open(path) }}
}

// InMemory is a file that holds b.
func InMemory(name string, b []byte) File { return held(name, bytes.NewReader(b), nil) }

// held is a file that stays open.
func held(name string, r io.ReaderAt, c io.Closer) File {
	type open struct {
		io.ReaderAt
		io.Closer
	}
	return File{Name: name, open: func() (readerAtCloser, error) { return open{r, io.NopCloser(nil)}, nil }, held: c}
}

// listAgain is how often a folder is listed again whose files do not belong together: a server may be rotating the
// history meanwhile, or deleting old archives.
const listAgain = 5

// FilesIn returns the files of the history in dir, the oldest first. message_history.json says which they are, so they
// belong together also while a server rotates it. That one stays open, the others are opened when they are read. The
// caller closes them. Errors: ErrDamaged if an archive is missing between others, or if message_history.json is missing
// or an old copy; ErrFormat, and those of the disk.
func FilesIn(dir string) (files []File, err error) {
	for try := 0; ; try++ {
		if files, err = filesIn(dir); try == listAgain || !errors.Is(err, ErrDamaged) {
			return files, err
		}
	}
}

func filesIn(dir string) (files []File, err error) {
	live, openErr := os.Open(filepath.Join(dir, liveName))
	if openErr != nil && !errors.Is(openErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the history: %w", openErr)
	}
	names, err := durable.OS{}.Names(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the history: %w", err), closeIf(live))
	}
	numbers := archiveNumbers(names)
	if live == nil {
		if err := withoutLive(numbers); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("open the history: %w", openErr)
	}
	files, err = belonging(dir, live, numbers)
	if err != nil {
		return nil, errors.Join(err, live.Close())
	}
	last := held(liveName, live, live)
	last.live = true
	return append(files, last), nil
}

// archiveNumbers are those of the archives among the names, the oldest first.
func archiveNumbers(names []string) (numbers []int) {
	for _, name := range names {
		if n := parseArchiveName(name); n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func closeIf(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// belonging are the archives that live goes on from, the oldest first; numbers are those there are.
func belonging(dir string, live io.ReaderAt, numbers []int) (files []File, err error) {
	number, err := before(live)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", liveName, err)
	}
	if err := newerArchive(number, numbers); err != nil {
		return nil, err
	}
	i, unfinished := slices.BinarySearch(numbers, number+1)
	if unfinished {
		if err := beyond(FileAt(filepath.Join(dir, archiveName(number+1))), number+1, live); err != nil {
			return nil, err
		}
	}
	numbers = numbers[:i]
	for i, n := range numbers {
		if after := number - len(numbers) + 1 + i; n != after {
			return nil, fmt.Errorf("%w: %s is missing, but the older %s exists", ErrDamaged, archiveName(n+1), archiveName(n))
		}
		f := FileAt(filepath.Join(dir, archiveName(n)))
		f.old = true
		files = append(files, f)
	}
	return files, nil
}

// before is the number of the archive that the file goes on from; 0: none. One that is no history has none.
func before(f io.ReaderAt) (int, error) {
	s, err := scanSegment(io.NewSectionReader(f, 0, 1<<62))
	if errors.Is(err, ErrFormat) {
		return 0, nil // what it is, its reader says
	}
	if err != nil {
		return 0, err
	}
	r, err := s.next()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil || r.predecessor == nil {
		return 0, err
	}
	return r.predecessor.archive, nil
}

// beyond refuses live if the archive after the one it refers to goes further than live does: then live is an old copy.
// Otherwise that archive is left over from a rotation that crashed, or being written by a server.
func beyond(archive File, number int, live io.ReaderAt) error {
	f, err := archive.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // undone meanwhile
	}
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	defer f.Close()
	end, err := lastOf(f, number)
	if err != nil {
		return fmt.Errorf("%s: %w", archive.Name, err)
	}
	last, err := lastOf(live, 0)
	if err != nil && !errors.Is(err, ErrFormat) {
		return fmt.Errorf("%s: %w", liveName, err)
	}
	return oldCopy(number, end, last)
}

// oldCopy refuses a live file that ends before an archive it does not refer to.
func oldCopy(number int, end, last uint64) error {
	switch {
	case end <= last:
		return nil
	case last == 0:
		return withoutLive([]int{number})
	}
	return fmt.Errorf("%w: %s ends with record %d, but %s with %d: it is an old copy", ErrDamaged, liveName, last, archiveName(number), end)
}

// newerArchive refuses archives beyond the one that a rotation may have left unfinished: number is that of the archive
// that the live file goes on from.
func newerArchive(number int, numbers []int) error {
	if len(numbers) == 0 || numbers[len(numbers)-1] <= number+1 {
		return nil
	}
	newest := archiveName(numbers[len(numbers)-1])
	if number == 0 {
		return fmt.Errorf("%w: %s continues no archive, but %s exists: it is an old copy, or empty", ErrDamaged, liveName, newest)
	}
	return fmt.Errorf("%w: %s continues %s, but %s exists: it is an old copy", ErrDamaged, liveName, archiveName(number), newest)
}

// withoutLive refuses archives without a file that goes on from them.
func withoutLive(numbers []int) error {
	if len(numbers) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s is missing or empty, but %s exists", ErrDamaged, liveName, archiveName(numbers[len(numbers)-1]))
}

// olderThere refuses a missing archive that has an older one beside it: what deletes archives takes the oldest first.
func olderThere(dir string, number int) error {
	for n := number - 1; n > 0; n-- {
		if _, err := os.Lstat(filepath.Join(dir, archiveName(n))); err == nil {
			return fmt.Errorf("%w: %s is missing, but the older %s exists", ErrDamaged, archiveName(number), archiveName(n))
		}
	}
	return nil
}

// isArchive refuses an archive as the file that goes on from it.
func isArchive(number int) error {
	return fmt.Errorf("%w: it is archive %d, not the file that continues the archives", ErrFormat, number)
}

// lastOf is the number of the last line in an archive, or with 0 in the live file.
func lastOf(f io.ReaderAt, number int) (uint64, error) {
	s, err := scanSegment(io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return 0, err
	}
	switch {
	case number == 0 && s.number > 0:
		return 0, isArchive(s.number)
	case s.number != number:
		return 0, fmt.Errorf("%w: it is not archive %d", ErrDamaged, number)
	}
	var last uint64
	for {
		line, _, err := s.line()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return 0, err
		}
		b, err := parseLineHeader(line)
		if err != nil {
			return 0, err
		}
		last = b.n
	}
}
