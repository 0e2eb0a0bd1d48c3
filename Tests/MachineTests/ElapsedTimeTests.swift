import Dispatch
import Machine
import Testing

@Test func aClockThatHasGoneBackHasElapsedNothing() {
  #expect(elapsedNanoseconds(since: DispatchTime.now().uptimeNanoseconds + 1_000_000_000_000) == 0)
  let start = DispatchTime.now().uptimeNanoseconds
  while elapsedNanoseconds(since: start) == 0 {}
}
