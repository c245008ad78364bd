using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Sessions that are saved in a memory file, and gone on with.</summary>
public sealed class SavedSessionTests : MemoryShelf
{
    private static readonly GenerationOptions Thirty = new() { Temperature = 0, MaxTokens = 30, StopAtEndOfText = false, RecordReads = true };

    /// <summary>A session has its own text in whole blocks, one token more or less, or in less than one.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void ASavedSessionGoesOnWhereItStopped(ScalarType type)
    {
        var path = Make("a", type, ("d", MadeMemory.Text(321)));
        foreach (var letters in (int[])[1, 2, 39, 40, 41, 42, 500])
        {
            string name = $"after {letters}", more = MadeMemory.Text(letters, seed: letters);
            using var memory = Engine.OpenMemory([path]);
            Assert.Equal(2, memory.Tail.Count);
            using var session = Engine.NewSession(memory);
            session.Append(more, cancel: TestContext.Current.CancellationToken);
            using (var writer = MemoryFileWriter.Open(path))
            {
                session.Save(writer, name);
                writer.Commit();
            }
            using var newest = Engine.OpenMemory([path]);
            Assert.Contains(newest.Sessions, s => s.Name == name && s.Tokens == letters + 2);
            using var reopened = Engine.OpenSession(newest, name);
            Assert.Equal((name, session.Blocks), (reopened.Name, reopened.Blocks));
            Assert.Equal(session.Tokens, reopened.Tokens);
            Assert.Equal(session.Passages([79, 80]).Select(p => p.Text), reopened.Passages([79, 80]).Select(p => p.Text));
            Assert.Equal(Continued(session), Continued(reopened));
            using var file = MemoryFile.Open(path);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
            var saved = file.Sessions.Single(s => s.Name == name);
            Assert.EndsWith(more, System.Text.Encoding.UTF8.GetString([.. saved.Segments.SelectMany(s => file.ReadText(s).Text)]), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ASessionIsGoneOnWithByItsOtherNameFromANewerFile()
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(100)));
        using var memory = Engine.OpenMemory([path]);
        using var session = Engine.NewSession(memory);
        session.Append(MadeMemory.Text(60, seed: 3), cancel: TestContext.Current.CancellationToken);
        using (var writer = MemoryFileWriter.Open(path))
        {
            session.Save(writer, "a");
            writer.Commit();
            writer.Sessions.Rename("a", "b");
            Refusals.Says(() => writer.Sessions.Rename("a", "c"), "There is no session");
            Refusals.Says(() => writer.Sessions.Rename("b", "b"), "There is a session");
            Refusals.Says(() => writer.Sessions.Rename("b", ""), "needs a name");
            writer.Commit();
        }
        // The memory was opened before there was a session.
        Refusals.Says(() => Engine.OpenSession(memory, "b"), "There is no session");
        using var file = MemoryFile.Open(path);
        using var reopened = Engine.OpenSession(memory, "b", file);
        Assert.Equal("b", reopened.Name);
        Assert.Equal(Continued(session), Continued(reopened));
        using (var writer = MemoryFileWriter.Open(path))
        {
            reopened.Save(writer, "b");
            writer.Commit();
            Assert.Equal(["b"], writer.Sessions.All.Select(s => s.Name));
        }
    }

    [Fact]
    public void SessionsForkAndAreReplaced()
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(100)));
        using var memory = Engine.OpenMemory([path]);
        using var writer = MemoryFileWriter.Open(path);
        using var session = Engine.NewSession(memory);
        session.Append("first. ", cancel: TestContext.Current.CancellationToken);
        Assert.Null(session.Name);
        session.Save(writer, "a");
        session.Append("second. ", cancel: TestContext.Current.CancellationToken);
        session.Save(writer, "a");
        writer.Commit();
        using var newest = Engine.OpenMemory([path]);
        using (var one = Engine.OpenSession(newest, "a"))
        using (var other = Engine.OpenSession(newest, "a"))
        {
            one.Append("third. ", cancel: TestContext.Current.CancellationToken);
            other.Append("another third. ", cancel: TestContext.Current.CancellationToken);
            one.Save(writer, "b");
            other.Save(writer, "c");
            writer.Commit();
            Refusals.Says(() => one.Save(writer, "c"), "There is a session 'c' already");
        }
        using var last = Engine.OpenMemory([path]);
        Assert.Equal([("a", null), ("b", "a"), ("c", "a")], last.Sessions.Select(s => (s.Name, s.From)));
        foreach (var (name, said) in (ReadOnlySpan<(string, string)>)[("a", "first. second. "), ("b", "first. second. third. "), ("c", "first. second. another third. ")])
        {
            using var again = Engine.OpenSession(last, name);
            Assert.Equal(said.Length + memory.Tail.Count, again.Tokens.Count);
            Assert.EndsWith(said.Trim(), string.Concat(again.Passages(Enumerable.Range(0, (int)again.Blocks).Select(b => (long)b)).Select(p => p.Text)).Trim(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ASessionSavedByAnotherMeanwhileIsNotLost()
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(100)));
        using var memory = Engine.OpenMemory([path]);
        using var writer = MemoryFileWriter.Open(path);
        using (var first = Engine.NewSession(memory))
        {
            first.Append("first. ", cancel: TestContext.Current.CancellationToken);
            first.Save(writer, "a");
            writer.Commit();
        }
        using var newest = Engine.OpenMemory([path]);
        using var one = Engine.OpenSession(newest, "a");
        using var other = Engine.OpenSession(newest, "a");
        one.Append("second. ", cancel: TestContext.Current.CancellationToken);
        other.Append("another. ", cancel: TestContext.Current.CancellationToken);
        one.Save(writer, "a");
        Refusals.Says(() => other.Save(writer, "a"), "The session 'a' was saved by another since this one was opened");
        // What was taken back is as it was opened, and both may save it again.
        writer.Rollback();
        other.Save(writer, "a");
        writer.Rollback();
        one.Save(writer, "a");
        writer.Commit();
        using var last = Engine.OpenMemory([path]);
        using var again = Engine.OpenSession(last, "a");
        Assert.Equal(one.Tokens, again.Tokens);
    }

    [Fact]
    public void ASessionKnowsHowItsDocumentsHaveChanged()
    {
        var (path, second) = (
            Make("a", ScalarType.Float32, ("stays", MadeMemory.Text(100)), ("goes", MadeMemory.Text(40)), ("other", MadeMemory.Text(50))),
            Make("b", ScalarType.Float32, ("stays", MadeMemory.Text(70, seed: 2))));
        using (var memory = Engine.OpenMemory([path, second]))
        using (var writer = MemoryFileWriter.Open(path))
        using (var session = Engine.NewSession(memory))
        {
            Assert.Null(session.Changes);
            session.Append("first. ", cancel: TestContext.Current.CancellationToken);
            session.Save(writer, "s");
            writer.Commit();
        }
        Assert.True(Changes(path, second).IsNone);
        Assert.Equal("documents follow each other otherwise", Changes(second, path).ToString());
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Compact();
            Assert.True(Changes(path, second).IsNone);
            writer.Documents.Remove("goes");
            writer.Documents.Replace("other");
            var maker = new MemoryMaker(Engine, writer);
            maker.Add("other", new StringReader(MadeMemory.Text(51, seed: 3)));
            maker.Add("new", new StringReader("a new one"));
            writer.Commit();
        }
        var found = Changes(path, second);
        Assert.Equal(("new", "goes", "other", false), (Assert.Single(found.Added), Assert.Single(found.Removed), Assert.Single(found.Replaced), found.IsReordered));
        Assert.Equal("'new' was added, and 'goes' was removed, and 'other' was replaced", found.ToString());
        // Two documents of one name: one of them is not read now.
        Assert.Equal(["goes", "stays"], Changes(path).Removed);

        DocumentChanges Changes(params string[] paths)
        {
            using var memory = Engine.OpenMemory(paths);
            using var session = Engine.OpenSession(memory, "s");
            return session.Changes!;
        }
    }

    /// <summary>A file in which it was not kept which documents a session had read.</summary>
    [Fact]
    public void WithoutARecordOfItsDocumentsASessionKnowsNoChanges()
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(99)));
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Sessions.Add("s");
            writer.Sessions.Append("s", new SegmentText([1, 2], [0, 1], "ab"u8.ToArray()), _ => { });
            writer.Sessions.Complete("s");
            writer.Commit();
        }
        using var memory = Engine.OpenMemory([path]);
        using var session = Engine.OpenSession(memory, "s");
        Assert.Null(session.Changes);
        Assert.Equal([1, 2], session.Tokens);
    }

    [Fact]
    public void WhatCannotBeSavedOrOpenedIsSaid()
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(99)));
        using var memory = Engine.OpenMemory([path]);
        Refusals.Says(() => Engine.OpenSession(memory, "none"), "There is no session 'none' in the memory");
        using (var writer = MemoryFileWriter.Open(path))
        using (var session = Engine.NewSession(memory))
        {
            using var alone = Engine.NewSession();
            Refusals.Says(() => alone.Save(writer, "x"), "began without a memory");
            Refusals.Says(() => session.Save(writer, "x"), "nothing to save");
            session.Append(MadeMemory.Text(60), cancel: TestContext.Current.CancellationToken);
            using (var other = MemoryFileWriter.Open(Make("b", ScalarType.Int8, ("d", "text"))))
                Refusals.Says(() => session.Save(other, "x"), "another type");
            Refusals.Says(() => session.Save(writer, ""), "needs a name");
            session.Save(writer, "x");
            writer.Commit();
        }
        long at;
        using (var file = MemoryFile.Open(path)) at = file.PagesOf(file.Sessions[0].Segments[0], 1).Offset + 4096 + 7;
        var bytes = File.ReadAllBytes(path);
        bytes[at] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var damaged = Engine.OpenMemory([path]);
        Refusals.Says(() => Engine.OpenSession(damaged, "x"), "keys and values, in layer 1, of block 1 of 'x'");
        Engine.NewSession(damaged).Dispose();
    }

    private static (int Id, string Blocks)[] Continued(Session session)
    {
        session.Append(Question);
        return [.. session.Generate(Thirty).Select(t => (t.Id, string.Join(' ', t.Reads!.Blocks)))];
    }
}
