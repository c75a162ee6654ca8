// Says what Go's own implementations think of trees, proofs, notes and cosignatures: a request
// in JSON on each line of standard input, an answer on each line of standard output.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosignature begins the base64 of a key of type 4, a witness's; that of a log's begins with A.
const cosignature = "B"

type request struct {
	Do    string      `json:"do"`
	Index int64       `json:"index"`
	Old   int64       `json:"old"`
	Size  int64       `json:"size"`
	Leaf  tlog.Hash   `json:"leaf"`
	Root  tlog.Hash   `json:"root"`
	Was   tlog.Hash   `json:"was"`
	Proof []tlog.Hash `json:"proof"`
	Text  string      `json:"text"`
	Name  string      `json:"name"`
	Keys  []string    `json:"keys"`
	Extra []byte      `json:"extra"`
}

type answer struct {
	Error      string      `json:"error"`
	Root       tlog.Hash   `json:"root"`
	Inclusion  []tlog.Hash `json:"inclusion"`
	Growth     []tlog.Hash `json:"growth"`
	Text       string      `json:"text"`
	Private    string      `json:"private"`
	Public     string      `json:"public"`
	Verified   []string    `json:"verified"`
	Unverified int         `json:"unverified"`
	Index      uint64      `json:"index"`
	Extra      []byte      `json:"extra"`
}

// grown is a log whose entries are the decimals "0", "1", "2" ….
type grown struct {
	size   int64
	hashes []tlog.Hash
}

func (g *grown) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = g.hashes[index]
	}
	return found, nil
}

func (g *grown) grow(size int64) error {
	for ; g.size < size; g.size++ {
		entry := []byte(strconv.FormatInt(g.size, 10))
		hashes, err := tlog.StoredHashes(g.size, entry, g)
		if err != nil {
			return err
		}
		g.hashes = append(g.hashes, hashes...)
	}
	return nil
}

func (g *grown) prove(asked request) (told answer, err error) {
	if err = g.grow(asked.Size); err != nil {
		return told, err
	}
	if told.Root, err = tlog.TreeHash(asked.Size, g); err != nil {
		return told, err
	}
	if asked.Size == 0 {
		return told, nil
	}
	if told.Inclusion, err = tlog.ProveRecord(asked.Size, asked.Index, g); err != nil {
		return told, err
	}
	if asked.Old > 0 {
		told.Growth, err = tlog.ProveTree(asked.Size, asked.Old, g)
	}
	return told, err
}

func cosigns(key string) bool {
	parts := strings.SplitN(strings.TrimPrefix(key, "PRIVATE+KEY+"), "+", 3)
	return len(parts) == 3 && strings.HasPrefix(parts[2], cosignature)
}

func signer(key string) (note.Signer, error) {
	if cosigns(key) {
		return f_note.NewSignerForCosignatureV1(key)
	}
	return note.NewSigner(key)
}

func verifier(key string) (note.Verifier, error) {
	if cosigns(key) {
		return f_note.NewVerifierForCosignatureV1(key)
	}
	return note.NewVerifier(key)
}

func sign(asked request) (told answer, err error) {
	var signers []note.Signer
	for _, key := range asked.Keys {
		found, err := signer(key)
		if err != nil {
			return told, err
		}
		signers = append(signers, found)
	}
	signed, err := note.Sign(&note.Note{Text: asked.Text}, signers...)
	told.Text = string(signed)
	return told, err
}

func open(asked request) (told answer, err error) {
	var verifiers []note.Verifier
	for _, key := range asked.Keys {
		found, err := verifier(key)
		if err != nil {
			return told, err
		}
		verifiers = append(verifiers, found)
	}
	opened, err := note.Open([]byte(asked.Text), note.VerifierList(verifiers...))
	if err != nil {
		return told, err
	}
	told.Text, told.Unverified = opened.Text, len(opened.UnverifiedSigs)
	for _, signature := range opened.Sigs {
		told.Verified = append(told.Verified, signature.Name)
	}
	return told, nil
}

func writeProof(asked request) (told answer, err error) {
	written := proof.TLogProof{
		Index: uint64(asked.Index), Checkpoint: []byte(asked.Text), ExtraData: asked.Extra,
	}
	for _, hash := range asked.Proof {
		written.Hashes = append(written.Hashes, hash)
	}
	told.Text = string(written.Marshal())
	return told, nil
}

func readProof(asked request) (told answer, err error) {
	var read proof.TLogProof
	if err = read.Unmarshal([]byte(asked.Text)); err != nil {
		return told, err
	}
	told.Index, told.Text, told.Extra = read.Index, string(read.Checkpoint), read.ExtraData
	for _, hash := range read.Hashes {
		told.Inclusion = append(told.Inclusion, hash)
	}
	return told, nil
}

func do(held *grown, asked request) (told answer, err error) {
	switch asked.Do {
	case "prove":
		return held.prove(asked)
	case "check inclusion":
		return told, tlog.CheckRecord(asked.Proof, asked.Size, asked.Root, asked.Index, asked.Leaf)
	case "check growth":
		return told, tlog.CheckTree(asked.Proof, asked.Size, asked.Root, asked.Old, asked.Was)
	case "generate":
		told.Private, told.Public, err = note.GenerateKey(rand.Reader, asked.Name)
		return told, err
	case "sign":
		return sign(asked)
	case "open":
		return open(asked)
	case "write proof":
		return writeProof(asked)
	case "read proof":
		return readProof(asked)
	}
	return told, errors.New("nothing that can be done: " + asked.Do)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	held := &grown{}
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		told, err := do(held, asked)
		if err != nil {
			told.Error = err.Error()
		}
		written, err := json.Marshal(told)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(written))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
