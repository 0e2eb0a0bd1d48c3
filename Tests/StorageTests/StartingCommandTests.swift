import Storage
import Testing

@Test(arguments: [
  ("ala train --resume never --config c.yaml", "ala train --config c.yaml"),
  ("ala train --config c.yaml --resume=old.h5 --set a=b", "ala train --config c.yaml --set a=b"),
  ("ala train --config /dev/fd/63", "ala train --config run/config.yaml"),
  ("ala train --config=/dev/stdin -q", "ala train --config=run/config.yaml -q"),
  ("launch/local resume c.yaml 2", "launch/local resume c.yaml 2"),
]) func aCommandThatGoesOnBeginsNothingAnewAndReadsNoPipe(started: String, goesOn: String) {
  let words = started.split(separator: " ").map(String.init)
  #expect(StartingCommand.goingOn(words, settings: "run/config.yaml").joined(separator: " ") == goesOn)
}
