using System.IO.Compression;
using UglyToad.PdfPig.Filters;
using UglyToad.PdfPig.Tokens;

namespace LandmarkSharp.Text.Documents;

/// <summary>
/// The filters of a PDF's streams, each of which is measured before it is unpacked: a filter unpacks to memory whatever comes.
/// </summary>
internal sealed class PdfFilters(DocumentBudget budget) : IFilterProvider
{
    private static readonly IFilterProvider All = DefaultFilterProvider.Instance;

    public IReadOnlyList<IFilter> GetFilters(DictionaryToken dictionary) => Measured(All.GetFilters(dictionary));

    public IReadOnlyList<IFilter> GetNamedFilters(IReadOnlyList<NameToken> names) => Measured(All.GetNamedFilters(names));

    public IReadOnlyList<IFilter> GetAllFilters() => Measured(All.GetAllFilters());

    private IFilter[] Measured(IReadOnlyList<IFilter> filters) => [.. filters.Select(f => new MeasuredFilter(f, budget))];

    private sealed class MeasuredFilter(IFilter filter, DocumentBudget budget) : IFilter
    {
        private const int Reading = 1 << 16;

        public bool IsSupported => filter.IsSupported;

        public Memory<byte> Decode(Memory<byte> input, DictionaryToken stream, IFilterProvider filters, int index)
        {
            switch (filter)
            {
                case FlateFilter: CountFlate(input); break;
                case RunLengthFilter: CountRuns(input.Span); break;
                case LzwFilter: CountLzw(input.Span, IsEarly(stream, index)); break;
            }
            return filter.Decode(input, stream, filters, index);
        }

        private void CountFlate(Memory<byte> input)
        {
            const int Header = 2;
            if (input.Length <= Header) return;
            using var packed = new DeflateStream(new MemoryStream(input[Header..].ToArray()), CompressionMode.Decompress);
            var buffer = new byte[Reading];
            var unpacked = 0L;
            try
            {
                for (int read; (read = packed.Read(buffer)) > 0;) budget.Unpack(read, ref unpacked);
            }
            catch (InvalidDataException)
            {
                // Damaged: there is no more than what came before, and the filter decides whether that will do.
            }
        }

        private void CountRuns(ReadOnlySpan<byte> input)
        {
            const int End = 128;
            var unpacked = 0L;
            for (var at = 0; at < input.Length && input[at] != End;)
            {
                var length = input[at];
                budget.Unpack(length < End ? length + 1 : 257 - length, ref unpacked);
                at += length < End ? length + 2 : 2;
            }
        }

        /// <summary>Follows how long the entries of the table are, whatever they spell.</summary>
        private void CountLzw(ReadOnlySpan<byte> input, bool isEarly)
        {
            const int Clear = 256, End = 257, MostCodes = 4096;
            var lengths = new int[MostCodes];
            lengths.AsSpan(0, Clear).Fill(1);
            var unpacked = 0L;
            var (next, width, last, bits, held) = (End + 1, 9, 0, 0, 0u);
            foreach (var b in input)
            {
                (held, bits) = ((held << 8) | b, bits + 8);
                if (bits < width) continue;
                var code = (int)((held >> (bits -= width)) & ((1u << width) - 1));
                if (code == End) return;
                if (code == Clear)
                {
                    (next, width, last) = (End + 1, 9, 0);
                    continue;
                }
                var length = code < next ? lengths[code] : last + 1;
                budget.Unpack(length, ref unpacked);
                if (last > 0 && next < MostCodes) lengths[next++] = last + 1;
                last = length;
                if (next + (isEarly ? 1 : 0) >= 1 << width && width < 12) width++;
            }
        }

        /// <summary>Whether codes grow one before they must, as they do where nothing is said.</summary>
        private static bool IsEarly(DictionaryToken stream, int index) =>
            !DecodeParameterResolver.GetFilterParameters(stream, index).TryGet(NameToken.EarlyChange, out NumericToken value) || value.Int != 0;
    }
}
