import Files
import Testing

@Test func aFoldedLineKeepsEveryWordOnANarrowTerminal() {
  let line = "[####....] 38%  epoch 2 of 4 (ones), step 3 of 8, at most 0:08 left"
  let folded = Terminal.folded(line, width: 40)
  #expect(folded.count == 2 && folded.allSatisfy { $0.count < 40 })
  #expect(folded.joined(separator: " ") == line)
  #expect(Terminal.folded("short", width: 40) == ["short"] && Terminal.folded("abcdef", width: 4) == ["abc", "def"])
}
